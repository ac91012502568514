/**
 * Preloaded (`node --import`) into every process that `weir run` starts. The children are in
 * process groups of their own, so that Ctrl-C reaches only `weir run`, which stops them in order.
 * When `weir run` itself is killed, its channel closes and the children end at once: what is lost
 * is what any crash loses, and the next `weir run` resumes from the latest completed checkpoint.
 */
import { isMainThread } from 'node:worker_threads'

if (isMainThread && process.channel !== undefined && process.channel !== null) {
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  process.channel.unref()
}
