import { defineJob, files, generator } from 'weir-stream'

/**
 * Counts the records of `keys` keys at a steady rate without end: the output of a key must be 1, 2,
 * 3 ... each once, whatever was killed on the way.
 */
export default defineJob(({ env, args }) => {
  env
    .source('numbers', generator({ rate: args.rate as number, splits: 4, make: (n) => n }))
    .keyBy((n) => `key-${n % (args.keys as number)}`)
    .count('count')
    .sink('out', files.jsonl(args.output))
})
