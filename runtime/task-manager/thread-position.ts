/**
 * Where a worker thread is at the moment, asked through the inspector: it interrupts code that
 * never yields, and costs nothing before it is asked.
 */
import { Session } from 'node:inspector'
import * as z from 'zod'
import { systemClock } from '#runtime/base/clock'
import { authorsLocation } from '#runtime/base/user-source'
import { locationOfFrame } from '#runtime/graph/source-location'

export interface ThreadPosition {
  readonly vertex: string
  readonly subtask: number
  /** Uid of the operator whose code runs; of all that it may be, where optimised code hides it. */
  readonly operator: string
  /** The user's function and line, where it is in one: `spin (job.ts:4:24)`. */
  readonly at: string | undefined
}

const LIMIT_MS = 2000
const RUNTIME = new URL('..', import.meta.url).href

const frame = z.object({
  functionName: z.string(),
  location: z.object({ scriptId: z.string(), lineNumber: z.int(), columnNumber: z.int().default(0) }),
  this: z.object({ objectId: z.string().optional() }),
})
const message = z.union([
  z.object({
    method: z.literal('Debugger.scriptParsed'),
    params: z.object({ scriptId: z.string(), url: z.string() }),
  }),
  z.object({ method: z.literal('Debugger.paused'), params: z.object({ callFrames: z.array(frame) }) }),
  z.object({ id: z.int(), result: z.unknown() }),
])
const evaluated = z.object({ result: z.object({ value: z.string() }) })
const place = z.object({ vertex: z.string(), subtask: z.int(), operator: z.string() })
type Frame = z.infer<typeof frame>

/** Undefined when the thread cannot be asked, or runs no task. Never rejects. */
export async function positionOf(threadId: number): Promise<ThreadPosition | undefined> {
  const session = new Session()
  try {
    session.connect()
    const sessionId = await attached(session, threadId)
    return sessionId === undefined ? undefined : await new Interrogation(session, sessionId).position()
  } catch {
    return undefined
  } finally {
    session.disconnect()
  }
}

function attached(session: Session, threadId: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  session.on('NodeWorker.attachedToWorker', ({ params: { sessionId, workerInfo } }) => {
    if (workerInfo.title.startsWith(`[worker ${threadId}]`)) resolve(sessionId)
  })
  session.post('NodeWorker.enable', { waitForDebuggerOnStart: false })
  return limited(promise)
}

/** Pauses one thread, reads its stack, and lets it go on. */
class Interrogation {
  readonly #session: Session
  readonly #sessionId: string
  readonly #urls = new Map<string, string>()
  readonly #answers = new Map<number, (result: unknown) => void>()
  readonly #paused = Promise.withResolvers<readonly Frame[]>()
  #id = 0

  constructor(session: Session, sessionId: string) {
    this.#session = session
    this.#sessionId = sessionId
  }

  async position(): Promise<ThreadPosition | undefined> {
    this.#session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
      if (params.sessionId === this.#sessionId) this.#take(params.message)
    })
    void this.#ask('Debugger.enable')
    void this.#ask('Debugger.pause')
    try {
      const frames = await limited(this.#paused.promise)
      return frames === undefined ? undefined : await this.#place(frames)
    } finally {
      // A thread that is left paused, or about to be, would never run again.
      await this.#ask('Debugger.disable')
    }
  }

  async #place(frames: readonly Frame[]): Promise<ThreadPosition | undefined> {
    const objects = frames.flatMap((f) => (f.this.objectId === undefined ? [] : [f.this.objectId]))
    const answer = await this.#ask('Runtime.callFunctionOn', {
      objectId: objects[0],
      functionDeclaration: placeIn.toString(),
      arguments: objects.map((objectId) => ({ objectId })),
      returnByValue: true,
    })
    const result = evaluated.safeParse(answer)
    const found = place.safeParse(result.success ? JSON.parse(result.data.result.value) : undefined)
    return found.success ? { ...found.data, at: userLine(frames, this.#urls) } : undefined
  }

  /** Undefined when there is no answer in time. */
  #ask(method: string, params: object = {}): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const id = ++this.#id
    this.#answers.set(id, resolve)
    this.#session.post('NodeWorker.sendMessageToWorker', {
      sessionId: this.#sessionId,
      message: JSON.stringify({ id, method, params }),
    })
    return limited(promise)
  }

  #take(text: string): void {
    const parsed = message.safeParse(JSON.parse(text))
    if (!parsed.success) return
    const { data } = parsed
    if ('id' in data) this.#answers.get(data.id)?.(data.result)
    else if (data.method === 'Debugger.paused') this.#paused.resolve(data.params.callFrames)
    else this.#urls.set(data.params.scriptId, data.params.url)
  }
}

async function limited<T>(promise: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const limit = systemClock.after(LIMIT_MS, () => resolve(undefined))
  try {
    return await Promise.race([promise, late])
  } finally {
    limit.cancel()
  }
}

/** In a file of the author's, if there is such a frame; else in a package that the job uses. */
function userLine(frames: readonly Frame[], urls: ReadonlyMap<string, string>): string | undefined {
  const lines = frames.flatMap(({ functionName, location }) => {
    const url = urls.get(location.scriptId) ?? ''
    if (url === '' || url.startsWith('node:') || url.startsWith(RUNTIME)) return []
    const line = `at ${url}:${location.lineNumber + 1}:${location.columnNumber + 1}`
    return [{ name: functionName || 'a function', line, authors: authorsLocation(line) }]
  })
  const found = lines.find(({ authors }) => authors !== undefined) ?? lines[0]
  if (found === undefined) return undefined
  return `${found.name} (${found.authors ?? locationOfFrame(found.line) ?? found.line})`
}

/** Runs in the thread, as text, with the `this` of each frame, the innermost first. */
function placeIn(...frames: readonly any[]): string {
  const task = frames.find((it) => it?.ref !== undefined && it.chain?.operators !== undefined)
  if (task === undefined) return 'null'
  const operators: readonly { uid: string; operator: unknown }[] = task.chain.operators
  const running = frames.map((it) => operators.find((o) => o.operator === it)).find((o) => o !== undefined)
  const uids = operators.map(({ uid }) => uid)
  return JSON.stringify({ ...task.ref, operator: running?.uid ?? uids.join(' or ') })
}
