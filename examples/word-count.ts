import { defineJob, files } from 'weir-stream'

/**
 * Counts words: one line `{"key": word, "count": n}` for each occurrence, n counting from 1.
 * Arguments: `input` to read, `output` to write, local or s3://.
 */
export default defineJob(({ env, args }) => {
  env
    .source('lines', files.lines(args.input))
    .flatMap('words', (line) => line.toLowerCase().match(/[a-z]+/g) ?? [])
    .keyBy((word) => word)
    .count('count')
    .sink('out', files.jsonl(args.output))
})
