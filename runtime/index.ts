/**
 * The public interface: `import { defineJob, files } from 'weir-stream'`. Nothing else is promised
 * to stay.
 */
export * from '#runtime/graph/api'
