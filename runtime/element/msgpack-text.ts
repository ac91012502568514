/**
 * msgpackr writes a lone surrogate in a short string as the three bytes that UTF-8 would have for
 * it if it were a character; they come back as three U+FFFD. Here they become the three bytes of
 * one U+FFFD, in place. To look for them costs next to nothing; only where bytes look so are tokens
 * read, because numbers may look the same.
 *
 * Tokens follow each other without nesting, by the MessagePack specification
 * (https://github.com/msgpack/msgpack/blob/master/spec.md): what an array, map or record holds
 * comes after its header, which is a token of its own.
 */

const LEAD = 0xed
const REPLACEMENT = Buffer.from('\ufffd')

/** Of tokens 0xc0..0xdf: bytes without the content whose length they give. Of others: 1. */
const HEADS = [
  1, 1, 1, 1, 2, 3, 5, 3, 4, 6, 5, 9, 2, 3, 5, 9, 2, 3, 5, 9, 3, 4, 6, 10, 18, 2, 3, 5, 3, 5, 3, 5,
]
/** Of tokens 0xc0..0xdf: bytes of that length, which come second; 0: none. */
const LENGTHS = [
  0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 0, 0, 0, 0,
]

/** `bytes` are what msgpackr has written, from the first token on. */
export function replaceLoneSurrogates(bytes: Buffer): void {
  let token = 0
  let end = 0
  for (let at = nextSuspect(bytes, 0); at >= 0; at = nextSuspect(bytes, at + 1)) {
    while (end <= at) {
      token = end
      end = endOf(bytes, token)
    }
    if (isText(bytes[token]!) && at >= token + headOf(bytes[token]!)) REPLACEMENT.copy(bytes, at)
  }
}

/** Of three bytes that are a surrogate if they are text; -1: there are none. */
function nextSuspect(bytes: Buffer, from: number): number {
  let at = bytes.indexOf(LEAD, from)
  while (at >= 0 && !((bytes[at + 1]! & 0xe0) === 0xa0 && (bytes[at + 2]! & 0xc0) === 0x80))
    at = bytes.indexOf(LEAD, at + 1)
  return at
}

const isShortText = (tag: number): boolean => tag >= 0xa0 && tag <= 0xbf
const isText = (tag: number): boolean => isShortText(tag) || (tag >= 0xd9 && tag <= 0xdb)
const headOf = (tag: number): number => HEADS[tag - 0xc0] ?? 1

function endOf(bytes: Buffer, token: number): number {
  const tag = bytes[token]!
  if (isShortText(tag)) return token + 1 + (tag & 0x1f)
  const width = LENGTHS[tag - 0xc0] ?? 0
  return token + headOf(tag) + (width === 0 ? 0 : bytes.readUIntBE(token + 1, width))
}
