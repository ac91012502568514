/**
 * What is used of the Kubernetes client library: kubeconfig files and the ways to prove who one is.
 * The package that is installed has exactly this in it (scripts/vendor.ts), not the library, whose
 * 60 MB are classes for every kind. Requests are made by ./client.ts.
 */
export { KubeConfig } from '@kubernetes/client-node/dist/config.js'
