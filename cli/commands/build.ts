import { type Command, Option } from 'commander'
import { collect } from '#cli/command-options'
import type { CliContext } from '#cli/context'

interface BuildOptions {
  readonly out?: string
  readonly external?: readonly string[]
  readonly output?: string
}

export function registerBuild(program: Command, cli: CliContext): void {
  program
    .command('build')
    .summary('make one file of a job and what it imports')
    .description(
      'Bundle a job module with its own files and npm packages into one ES module with a source map, ' +
        'for an image or a ConfigMap.\nweir-stream and packages with native code stay imports.',
    )
    .argument('<file>', 'job module (.ts, .js)')
    .option('-o, --out <file>', 'file to write (default: dist/NAME.mjs)')
    .option('--external <package>', 'leave a package out; repeatable', collect)
    .addOption(
      new Option('--output <format>', 'text for people or json for programs')
        .choices(['text', 'json'])
        .default('text'),
    )
    .action(async (file: string, options: BuildOptions) => {
      const { buildJob } = await import('#cli/build/build')
      await buildJob(cli.output(options), file, options, cli.cwd)
    })
}
