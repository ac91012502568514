/**
 * Windows are arithmetic: no clock, no state. A window is [start, end) in milliseconds since the
 * epoch; starts are `offset` plus whole multiples of the slide, also before the epoch. Records are
 * counted once, in panes of gcd(size, slide); a window is size / pane panes in a row, merged when
 * it fires.
 *
 * `sliding({ size: '10s', slide: '4s' })`: panes of 2 s; a record at 5.0 s lies in pane [4, 6) and
 * in the windows [-4, 6), [0, 10) and [4, 14). A tumbling window is one whose slide is its size:
 * one pane.
 */
import { WeirError } from '#runtime/base/errors'
import { refuseUnknownOptions } from '#runtime/base/known-options'
import { preview } from '#runtime/base/preview'
import { parseDuration, type Duration } from '#runtime/base/units'

/** A stretch of event time, in milliseconds since the epoch. */
export interface Window {
  /** Inclusive. */
  readonly start: number
  /** Exclusive. The window is complete when the watermark reaches `end - 1`. */
  readonly end: number
}

/** A duration: "10s", "1h30m", or whole milliseconds. */
export type DurationInput = Duration | number

export interface TumblingOptions {
  readonly size: DurationInput
  /** Moves window starts: '6h' gives days that begin at 06:00 UTC. Default 0. */
  readonly offset?: DurationInput
}

export interface SlidingOptions extends TumblingOptions {
  /** Distance of window starts, at most the size. */
  readonly slide: DurationInput
}

/**
 * Windows of one size that follow each other without gap or overlap. @throws {WeirError}
 * CFG_INVALID
 */
export function tumbling(options: DurationInput | TumblingOptions): SlidingWindows {
  if (typeof options === 'object') refuseUnknownOptions('tumbling', options, ['size', 'offset'])
  const { size, offset } = typeof options === 'object' ? options : { size: options, offset: undefined }
  return new SlidingWindows(
    'tumbling',
    toMs('size', size),
    toMs('size', size),
    offset === undefined ? 0 : toMs('offset', offset),
  )
}

/** Windows of one size, a new one each `slide`. @throws {WeirError} CFG_INVALID */
export function sliding(options: SlidingOptions): SlidingWindows {
  refuseUnknownOptions('sliding', options, ['size', 'slide', 'offset'])
  const { size, slide, offset } = options
  return new SlidingWindows(
    'sliding',
    toMs('size', size),
    toMs('slide', slide),
    offset === undefined ? 0 : toMs('offset', offset),
  )
}

/** Made by `tumbling` and `sliding`. */
export class SlidingWindows {
  readonly kind: 'tumbling' | 'sliding'
  readonly sizeMs: number
  readonly slideMs: number
  /** In [0, slideMs). */
  readonly offsetMs: number
  readonly paneMs: number

  constructor(kind: 'tumbling' | 'sliding', sizeMs: number, slideMs: number, offsetMs: number) {
    if (sizeMs <= 0 || slideMs <= 0)
      throw new WeirError(
        'CFG_INVALID',
        `Window of size ${sizeMs} ms and slide ${slideMs} ms: both must be longer than 0.`,
      )
    if (slideMs > sizeMs)
      throw new WeirError(
        'CFG_INVALID',
        `Window of size ${sizeMs} ms and slide ${slideMs} ms: records between windows would be in none. ` +
          'Expected slide <= size.',
      )
    this.kind = kind
    this.sizeMs = sizeMs
    this.slideMs = slideMs
    this.offsetMs = modulo(offsetMs, slideMs)
    this.paneMs = gcd(sizeMs, slideMs)
  }

  /** Start of the pane that holds `timestamp`. */
  paneStart(timestamp: number): number {
    return timestamp - modulo(timestamp - this.offsetMs, this.paneMs)
  }

  /**
   * Start of the latest window that holds `timestamp`; the earlier ones start `slideMs` apart, the
   * first after `timestamp - sizeMs`.
   */
  lastWindowStart(timestamp: number): number {
    return timestamp - modulo(timestamp - this.offsetMs, this.slideMs)
  }

  /** The windows that hold `timestamp`, earliest first. */
  windowsOf(timestamp: number): Window[] {
    const windows: Window[] = []
    for (let start = this.lastWindowStart(timestamp); start > timestamp - this.sizeMs; start -= this.slideMs)
      windows.push({ start, end: start + this.sizeMs })
    return windows.reverse()
  }

  /**
   * Ends (exclusive) of the windows that hold the pane starting at `paneStart`, ascending: when
   * each is reached by the watermark the pane is merged once more.
   */
  windowEndsOfPane(paneStart: number): number[] {
    return this.windowsOf(paneStart).map((w) => w.end)
  }

  /**
   * The end of the last window that uses the pane: once it has fired (and allowed lateness has
   * passed) the pane is dropped.
   */
  lastEndOfPane(paneStart: number): number {
    return this.lastWindowStart(paneStart) + this.sizeMs
  }
}

/** In [0, n), also for negative `a`. Exact for safe integers. */
function modulo(a: number, n: number): number {
  const rest = a % n
  return rest < 0 ? rest + n : rest + 0
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}

function toMs(what: string, duration: DurationInput): number {
  const ms = typeof duration === 'string' ? parseDuration(duration) : duration
  if (!Number.isSafeInteger(ms))
    throw new WeirError(
      'CFG_INVALID',
      `A window needs a ${what} in whole milliseconds, or text such as "10s", and got ${preview(ms)}.`,
    )
  return ms
}
