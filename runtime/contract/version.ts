/** Equals package.json's version (a test checks it). */
export const VERSION = '0.1.0'
/**
 * Of the RPC and data frames between JobManager and TaskManagers; both refuse another one, naming
 * both.
 */
export const WIRE_VERSION = 1
