/**
 * The benchmark's events: a pure function of the event number, the same events as the Java
 * generator of the Flink harness makes, bit for bit. 32-bit integer mixing only, so that both
 * languages agree. Of 50 events 1 is a person, 3 are auctions, 46 are bids (Nexmark's proportions);
 * id spaces and hot keys follow Nexmark: 100 auctions in flight, 1000 active people, half of the
 * bids on the hot auction, three of four by the hot bidder.
 */

/** Events in a millisecond of event time. */
const EVENTS_PER_MS = 100
const BASE_TIME = 1_700_000_000_000
const POOL_SIZE = 1024
const WORD_COUNT = 8192
const SENTENCE_COUNT = 8192
export const WORDS_PER_SENTENCE = 10

export interface Bid {
  readonly auction: number
  readonly bidder: number
  readonly price: number
  readonly channel: string
  readonly url: string
  readonly ts: number
  readonly extra: string
}

export interface Auction {
  readonly id: number
  readonly item: string
  readonly description: string
  readonly initialBid: number
  readonly reserve: number
  readonly ts: number
  readonly expires: number
  readonly seller: number
  readonly category: number
  readonly extra: string
}

export interface Person {
  readonly id: number
  readonly name: string
  readonly email: string
  readonly card: string
  readonly city: string
  readonly state: string
  readonly ts: number
  readonly extra: string
}

/**
 * One object shape for all three kinds, the members of the other kinds null: what keeps property
 * access monomorphic.
 */
export interface Event {
  readonly type: typeof PERSON | typeof AUCTION | typeof BID
  readonly person: Person | null
  readonly auction: Auction | null
  readonly bid: Bid | null
}
export const PERSON = 0
export const AUCTION = 1
export const BID = 2

export function mix(n: number, salt: number): number {
  let h = n ^ Math.imul(salt, 0x9e3779b9)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** Of a signed 32-bit hash, without its lowest bit. */
const below = (h: number, limit: number): number => (h >>> 1) % limit

/**
 * A flat string: concatenation would leave a rope that is flattened at the first comparison, inside
 * a measurement.
 */
const flat = (text: string): string => Buffer.from(text, 'latin1').toString('latin1')

const letters = (seed: number, length: number): string =>
  flat(
    Array.from({ length }, (_, i) => String.fromCharCode(97 + below(mix(seed * 131 + i, 77), 26))).join(''),
  )

const pool = (make: (i: number) => string): readonly string[] =>
  Array.from({ length: POOL_SIZE }, (_, i) => flat(make(i)))
const at = (strings: readonly string[], i: number): string => strings[i] as string

const EXTRAS = pool((i) => letters(i, 30 + below(mix(i, 1), 20)))
const NAMES = pool((i) => `${letters(i + 9000, 6)} ${letters(i + 9500, 7)}`)
const EMAILS = pool((i) => `${letters(i + 11_000, 7)}@${letters(i + 12_000, 5)}.com`)
const CARDS = pool((i) =>
  [2, 3, 4, 5].map((salt) => String(below(mix(i, salt), 10_000)).padStart(4, '0')).join(' '),
)
const CITIES = [
  'phoenix',
  'los angeles',
  'san francisco',
  'boise',
  'portland',
  'bend',
  'redmond',
  'seattle',
  'kent',
  'cheyenne',
]
const STATES = ['az', 'ca', 'id', 'or', 'wa', 'wy']
/** The last four are the hot ones. */
const CHANNELS = [...pool((i) => `channel-${i}`), 'Google', 'Facebook', 'Baidu', 'Apple']
const URLS = [
  ...pool((i) => `https://www.nexmark.com/${letters(i + 5000, 5)}/item.htm?query=1&channel_id=${i}`),
  ...['googl', 'faceb', 'baidu', 'apple'].map((site) => `https://www.nexmark.com/${site}/item.htm?query=1`),
]

const PRICES = new Int32Array(4096)
for (let i = 0, price = 100; i < PRICES.length; i++, price *= 1.003378) PRICES[i] = Math.floor(price)

const WORDS = Array.from({ length: WORD_COUNT }, (_, i) => letters(i + 20_000, 3 + below(mix(i, 6), 8)))
/** The product of two uniform draws: few words are frequent, most are rare. */
const SENTENCES = Array.from({ length: SENTENCE_COUNT }, (_, i) =>
  flat(
    Array.from({ length: WORDS_PER_SENTENCE }, (_unused, j) => {
      const [a, b] = [below(mix(i * 16 + j, 7), WORD_COUNT), below(mix(i * 16 + j, 8), WORD_COUNT)]
      return at(WORDS, (a * b) >>> 13)
    }).join(' '),
  ),
)

export const timestampOf = (n: number): number => BASE_TIME + Math.floor(n / EVENTS_PER_MS)

export const sentence = (n: number): string => at(SENTENCES, mix(n, 40) & (SENTENCE_COUNT - 1))

export function event(n: number): Event {
  const epoch = (n / 50) | 0
  const offset = n - epoch * 50
  if (offset === 0) return { type: PERSON, person: person(n, epoch), auction: null, bid: null }
  if (offset < 4) return { type: AUCTION, person: null, auction: auction(n, epoch, offset), bid: null }
  return { type: BID, person: null, auction: null, bid: bid(n, epoch) }
}

const hundred = (n: number): number => ((n / 100) | 0) * 100

function recentPerson(epoch: number, h: number): number {
  const active = Math.min(epoch + 1, 1000)
  return 1000 + (epoch + 1) - active + below(h, active + 10)
}

const priceOf = (h: number): number => (PRICES[h & 4095] as number) + ((h >>> 12) & 1023)

function person(n: number, epoch: number): Person {
  const h = mix(n, 10)
  const g = mix(n, 11)
  return {
    id: 1000 + epoch,
    name: at(NAMES, h & 1023),
    email: at(EMAILS, (h >>> 10) & 1023),
    card: at(CARDS, (h >>> 20) & 1023),
    city: at(CITIES, below(g, CITIES.length)),
    state: at(STATES, below(mix(n, 12), STATES.length)),
    ts: timestampOf(n),
    extra: at(EXTRAS, (g >>> 20) & 1023),
  }
}

function auction(n: number, epoch: number, offset: number): Auction {
  const h = mix(n, 20)
  const initialBid = priceOf(mix(n, 21))
  const ts = timestampOf(n)
  return {
    id: 1000 + epoch * 3 + (offset - 1),
    item: at(NAMES, h & 1023),
    description: at(EXTRAS, (h >>> 10) & 1023),
    initialBid,
    reserve: initialBid + priceOf(mix(n, 22)),
    ts,
    expires: ts + 1 + below(mix(n, 23), 34),
    seller: below(mix(n, 24), 4) > 0 ? 1000 + hundred(epoch) : recentPerson(epoch, mix(n, 25)),
    category: 10 + below(mix(n, 26), 5),
    extra: at(EXTRAS, (h >>> 20) & 1023),
  }
}

function bid(n: number, epoch: number): Bid {
  const h = mix(n, 30)
  const last = epoch * 3 + 2
  const oldest = Math.max(last - 100, 0)
  const c = (h >>> 8) & 1023
  const channel = (h & 8) === 0 ? c : POOL_SIZE + (c & 3)
  return {
    auction: 1000 + ((h & 1) === 0 ? oldest + below(mix(n, 31), last - oldest + 11) : hundred(last)),
    bidder: (h & 6) === 0 ? recentPerson(epoch, mix(n, 32)) : 1000 + hundred(epoch) + 1,
    price: priceOf(mix(n, 33)),
    channel: at(CHANNELS, channel),
    url: at(URLS, channel),
    ts: timestampOf(n),
    extra: at(EXTRAS, (h >>> 20) & 1023),
  }
}
