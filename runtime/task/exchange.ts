import { present } from '#runtime/base/errors'
import { transferable } from '#runtime/base/bytes'
import { decodeElement } from '#runtime/element/frame'
import type { SubtaskPlace, SubtaskRef } from '#runtime/contract/rpc'
import { InputChannel, LocalOutputChannel, RemoteOutputChannel, type OutputChannel } from './channel.ts'
import type { PlannedChannel } from './channel-plan.ts'
import type { ExchangeParcel, FromSlot, SlotPort } from './slot-messages.ts'

/** A parcel takes no further frame with which it would have more; one frame may be larger. */
const PARCEL_BYTES = 4 * 1024 * 1024

interface Route {
  readonly frames: Uint8Array<ArrayBuffer>[]
  readonly credits: number[]
  readonly send: (parcel: ExchangeParcel, transfer: ArrayBuffer[]) => void
}

export interface ExchangeOptions {
  readonly channels: readonly PlannedChannel[]
  readonly placeOf: (ref: SubtaskRef) => SubtaskPlace
  /** The slot that the exchange is of. */
  readonly self: { readonly taskManager: string; readonly slot: number }
  /** Ports to the other slots of this process. */
  readonly siblings: ReadonlyMap<number, SlotPort>
  /** To the main thread. */
  readonly post: (message: FromSlot, transfer: ArrayBuffer[]) => void
}

/**
 * The channels of one slot: same thread by reference, other slots of this process by message ports,
 * other processes through the main thread. What leaves the slot is collected and posted once per
 * turn (`flush`).
 */
export class Exchange {
  readonly #inputs = new Map<number, InputChannel>()
  readonly #outputs = new Map<number, OutputChannel>()
  readonly #routes = new Map<string, Route>()
  readonly #dirty = new Set<Route>()

  constructor({ channels, placeOf, self, siblings, post }: ExchangeOptions) {
    const isHere = (p: SubtaskPlace) => p.taskManager === self.taskManager && p.slot === self.slot
    const routeTo = (place: SubtaskPlace): Route => {
      const key = `${place.taskManager}/${place.slot}`
      const known = this.#routes.get(key)
      if (known !== undefined) return known
      const port = place.taskManager === self.taskManager ? siblings.get(place.slot) : undefined
      const send: Route['send'] =
        port === undefined
          ? (parcel, transfer) =>
              post({ type: 'parcel', taskManager: place.taskManager, slot: place.slot, parcel }, transfer)
          : (parcel, transfer) => port.postMessage(parcel, transfer)
      const route: Route = { frames: [], credits: [], send }
      this.#routes.set(key, route)
      return route
    }
    for (const channel of channels) {
      const from = placeOf(channel.from)
      const to = placeOf(channel.to)
      if (isHere(to)) {
        const route = isHere(from) ? undefined : routeTo(from)
        const returnCredit = route === undefined ? () => {} : () => this.#credit(route, channel.id)
        this.#inputs.set(channel.id, new InputChannel(returnCredit))
      }
    }
    for (const channel of channels) {
      if (!isHere(placeOf(channel.from))) continue
      const to = placeOf(channel.to)
      if (isHere(to)) this.#outputs.set(channel.id, new LocalOutputChannel(this.input(channel.id)))
      else {
        const route = routeTo(to)
        this.#outputs.set(
          channel.id,
          new RemoteOutputChannel({
            id: channel.id,
            from: channel.from,
            emitter: channel.emitter,
            post: (frame) => this.#frame(route, frame),
          }),
        )
      }
    }
  }

  input(id: number): InputChannel {
    return present(this.#inputs.get(id), `the input channel ${id}`)
  }

  output(id: number): OutputChannel {
    return present(this.#outputs.get(id), `the output channel ${id}`)
  }

  receive(parcel: ExchangeParcel): void {
    for (const frame of parcel.frames) {
      const { channel, element } = decodeElement(frame)
      this.#inputs.get(channel)?.put(element)
    }
    for (let i = 0; i < parcel.credits.length; i += 2) {
      const output = this.#outputs.get(parcel.credits[i] as number)
      if (output instanceof RemoteOutputChannel) output.addCredits(parcel.credits[i + 1] as number)
    }
  }

  /**
   * Posts what has gathered since the last call, in parcels of a few MiB. Frame buffers are
   * transferred.
   */
  flush(): void {
    if (this.#dirty.size === 0) return
    for (const route of this.#dirty) {
      let credits = route.credits.splice(0)
      for (const frames of parcelled(route.frames.splice(0))) {
        route.send(
          { frames, credits },
          frames.map((f) => f.buffer),
        )
        credits = []
      }
    }
    this.#dirty.clear()
  }

  #frame(route: Route, frame: Uint8Array): void {
    route.frames.push(transferable(frame))
    this.#dirty.add(route)
  }

  #credit(route: Route, channel: number): void {
    const { credits } = route
    if (credits.at(-2) === channel) (credits[credits.length - 1] as number)++
    else credits.push(channel, 1)
    this.#dirty.add(route)
  }
}

/** The frames in order, parcel by parcel; one without frames when there are none. */
function parcelled(frames: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer>[][] {
  let last: Uint8Array<ArrayBuffer>[] = []
  const parcels = [last]
  let sizeBytes = 0
  for (const frame of frames) {
    if (last.length > 0 && sizeBytes + frame.byteLength > PARCEL_BYTES) {
      last = []
      parcels.push(last)
      sizeBytes = 0
    }
    last.push(frame)
    sizeBytes += frame.byteLength
  }
  return parcels
}
