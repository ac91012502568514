/**
 * Process entry `weir-operator`: configuration -> object graph -> run -> exit code. The only file
 * of the operator that reads the environment and exits.
 */
import { readFile } from 'node:fs/promises'
import os from 'node:os'
import { systemClock } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import { createLogger } from '#runtime/base/logger'
import { VERSION } from '#runtime/contract/version'
import { parseOperatorConfig } from './config.ts'
import { type Authority, authorityOf, KubeClient } from './kube/client.ts'
import { podAuthority } from './kube/pod-authority.ts'
import { Operator } from './operator.ts'

async function main(): Promise<number> {
  const file = process.env['WEIR_OPERATOR_CONFIG']
  if (file === undefined)
    throw new WeirError(
      'CFG_INVALID',
      'WEIR_OPERATOR_CONFIG must name the configuration file of the operator.',
    )
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new WeirError('CFG_INVALID', `The configuration file ${file} cannot be read: ${messageOf(cause)}`, {
      cause,
    })
  })
  const config = parseOperatorConfig(text, file)
  const logger = createLogger('operator', config.logLevel)
  const { authority, namespace } = await whereToAsk()
  const operator = new Operator({
    config,
    client: new KubeClient(authority),
    namespace: config.namespace ?? process.env['POD_NAMESPACE'] ?? namespace ?? 'default',
    identity: process.env['POD_NAME'] ?? `${os.hostname()}-${process.pid}`,
    clock: systemClock,
    random: Math.random,
    logger,
  })
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.on(name, () => {
      logger.info({ signal: name }, 'stopping')
      stop.abort(new Error(name))
    })
  logger.info({ version: VERSION, config }, 'configuration')
  const end = await operator.run(stop.signal)
  logger.info({ end }, 'operator ended')
  return end === 'stopped' ? 0 : 1
}

interface Place {
  readonly authority: Authority
  readonly namespace?: string | undefined
}

/** In a pod its service account, else what a kubeconfig names. */
async function whereToAsk(): Promise<Place> {
  const authority = podAuthority({ env: process.env, clock: systemClock })
  if (authority !== undefined) return { authority }
  const { KubeConfig } = await import('./kube/kube-config.ts')
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromDefault()
  const context = kubeConfig.getContextObject(kubeConfig.getCurrentContext())
  return { authority: authorityOf(kubeConfig), namespace: context?.namespace }
}

try {
  process.exit(await main())
} catch (error) {
  process.stderr.write(
    `${error instanceof WeirError ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
  )
  process.exit(error instanceof WeirError && error.code === 'CFG_INVALID' ? 2 : 1)
}
