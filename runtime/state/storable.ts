type Plain =
  | string
  | number
  | boolean
  | bigint
  | null
  | undefined
  | Date
  | RegExp
  | Error
  | ArrayBuffer
  | ArrayBufferView
type Behaviour = symbol | ((...args: never[]) => unknown) | PromiseLike<unknown>
type Weak = WeakMap<any, any> | WeakSet<any> | WeakRef<any>
type Depth = 0 | 1 | 2 | 3
type Less = [0, 0, 1, 2]

/** What of `V` a checkpoint cannot hold, as deep as is worth looking; never: nothing. */
export type Flaw<V, D extends Depth = 3> = 0 extends 1 & V
  ? never
  : V extends Behaviour
    ? V
    : V extends Plain
      ? never
      : D extends 0
        ? never
        : FlawOfObject<V, Less[D]>

/** Maps and sets first: they have all that weak ones have. */
type FlawOfObject<V, D extends Depth> =
  V extends ReadonlyMap<infer K, infer W>
    ? Flaw<K | W, D>
    : V extends ReadonlySet<infer W> | readonly (infer W)[]
      ? Flaw<W, D>
      : V extends Weak
        ? V
        : V extends object
          ? { [P in keyof V]-?: Flaw<V[P], D> }[keyof V]
          : never
