import type { Refused } from '#runtime/base/refused'

/** What can be a key; its encoding: element/key-encoding.ts. */
export type Key =
  | string
  | number
  | boolean
  | bigint
  | null
  | readonly Key[]
  | { readonly [name: string]: Key | undefined }

type NotAKey =
  | undefined
  | symbol
  | ((...args: never[]) => unknown)
  | Date
  | RegExp
  | Error
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | PromiseLike<unknown>
  | ArrayBuffer
  | ArrayBufferView

/**
 * K where it can be a key. Not `K extends Key`: an interface is no `{ [name: string]: Key }`, and
 * literals would not widen.
 */
export type KeyOf<K> = unknown extends K
  ? 0 extends 1 & K
    ? K
    : Refused<'what may be anything cannot be a key: say what it is'>
  : K extends NotAKey
    ? Refused<'a key is a string, number, boolean, bigint, null, or plain arrays and objects of these'>
    : K extends object
      ? { readonly [P in keyof K]: KeyOf<Exclude<K[P], undefined>> | Extract<K[P], undefined> }
      : K
