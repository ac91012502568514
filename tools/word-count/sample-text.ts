/**
 * Text to try word counts on: prose written for this purpose, varied by a seeded generator, so that
 * every installation has the same words.
 */
export interface SampleFile {
  readonly name: string
  readonly text: string
}

const TITLES = [
  'the-mill',
  'the-ferry',
  'the-lock-keeper',
  'high-water',
  'the-long-drought',
  'letters-from-the-estuary',
] as const

const SENTENCES = [
  'The {adj} river came down from the {place} in the {time}, and the {person} heard it before ' +
    'anybody saw it.',
  'Nobody in the {place} could say who had built the weir, but everybody knew whose turn it was to mend it.',
  '"It is only water," said the {person}, and put another {thing} against the door.',
  'In the {time} the level stood two hands below the mark, as it had in the year of the {adj} {thing}.',
  'The {person} counted what went over the stones, every {thing} once, and wrote the number ' +
    'down before sleeping.',
  'When the bridge was carried away, the count went on from the last line in the book, and not ' +
    'one {thing} was missing.',
  'There are two ways across the {place}: the {adj} one, which is quick, and the {adj} one, ' +
    'which is certain.',
  'A barrier does not stop a river; it only tells you, at one moment, how high the river was.',
  'The {person} and the {person} had not spoken since the flood, and both kept the same ' +
    '{thing} on the shelf.',
  'By {time} the water was back within its banks, and the {place} smelled of mud and {thing}.',
  'If the keeper falls asleep, another keeper takes the lamp; the boats must not notice.',
  'She read the marks on the wall aloud: {number} feet in the spring, {number} in the autumn, ' +
    'and nothing at all in between.',
  'They let the {thing} go over the edge and watched it turn in the {adj} pool below.',
  'Every {person} of the {place} has a {adj} story about the night when the lock would not close.',
  'He had been told to wait for the signal, and so he waited, {number} hours, beside a {thing} that ticked.',
  'What the stream brings in the {time} it takes away again in the {time}, but never the same day twice.',
  'The ledger was wet, the ink was {adj}, and still the sums were right.',
  'Below the {place} the two arms meet, and from there on nobody can tell their water apart.',
  'Let it run, said the {person}; what has passed the gate is written, and what is not written ' +
    'has not passed.',
  'On the {adj} bank stood a {thing}, on the other a {person}, and between them the whole ' +
    'width of the {time}.',
]

/** All words of some lines. */
function words(...lines: readonly string[]): readonly string[] {
  return lines.join(' ').split(' ')
}

const WORDS = {
  adj: words(
    'slow grey patient swollen narrow bright stubborn silent crooked',
    'ordinary cold generous weary green restless shallow deep honest',
  ),
  place: [
    'valley',
    'village',
    'upper meadows',
    'mill yard',
    'ferry landing',
    'estuary',
    'gorge',
    'old town',
    'reed beds',
    'water works',
    'harbour',
    'moor',
  ],
  person: words(
    'miller ferryman keeper widow schoolmaster engineer fisher',
    'surveyor child stranger carpenter nurse clerk',
  ),
  thing: words(
    'stone lantern barrel plank rope letter sack bell',
    'hammer clock basket oar ledger stick coin apple',
  ),
  time: words('morning spring evening winter thaw harvest night autumn twilight summer frost'),
  number: words('two three four five seven nine eleven twelve twenty forty'),
} as const
type Slot = keyof typeof WORDS

export function sampleFiles(bytesPerFile = 60_000): SampleFile[] {
  return TITLES.map((title, n) => ({ name: `${title}.txt`, text: sampleText(title, n + 1, bytesPerFile) }))
}

/** About `bytes` of prose; the same seed gives the same text. */
export function sampleText(title: string, seed: number, bytes: number): string {
  const next = generator(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)] as T
  const sentence = () =>
    pick(SENTENCES).replaceAll(/\{(\w+)\}/g, (_, slot: string) => pick(WORDS[slot as Slot]))
  const lines = [title.replaceAll('-', ' ').toUpperCase(), '']
  let size = title.length + 2
  while (size < bytes) {
    const paragraph = Array.from({ length: 2 + Math.floor(next() * 5) }, sentence)
    lines.push(...paragraph, '')
    size += paragraph.join('\n').length + 2
  }
  return `${lines.join('\n')}\n`
}

/** Mulberry32: small, and the same everywhere. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
