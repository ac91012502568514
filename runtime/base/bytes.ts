/**
 * The bytes in an ArrayBuffer of their own, which can be transferred to another thread; copied only
 * when they share one (Buffer's pool does).
 */
export function transferable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer
    ? (bytes as Uint8Array<ArrayBuffer>)
    : new Uint8Array(bytes)
}
