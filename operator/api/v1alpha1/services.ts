/** Services outside of Kubernetes that a job needs: an object store and Redis. */
import * as z from 'zod'
import { immutable, keyRef, objectRef, withRules } from '#operator/api/schema'

export const s3 = withRules(
  z.strictObject({
    bucket: withRules(
      z.string().min(3).max(63),
      {
        cel: "self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$')",
        message: 'must be the name of a bucket, such as "streams": no URL, no "/", no upper-case letters',
        holds: (name) => /^[a-z0-9][a-z0-9.-]*[a-z0-9]$/.test(name),
      },
      immutable('bucket'),
    ).describe('Bucket that holds checkpoints and savepoints.'),
    prefix: withRules(
      z.string().max(512),
      {
        cel: "!self.startsWith('/') && !self.endsWith('/') && !self.contains('//') && !self.contains('..')",
        message: 'must be a key prefix such as "prod/weir", without leading or trailing "/", "//" or ".."',
        holds: (p) => !p.startsWith('/') && !p.endsWith('/') && !p.includes('//') && !p.includes('..'),
      },
      immutable('prefix'),
    )
      .default('')
      .describe("Key prefix in the bucket. The job's files are below <prefix>/<namespace>/<name>/<uid>."),
    endpoint: withRules(z.string().min(1).max(1024), {
      cel: "self.matches('^https?://[^@ ]+$')",
      message: 'must be an http:// or https:// URL without credentials',
      holds: (url) => /^https?:\/\/[^@ ]+$/.test(url),
    })
      .optional()
      .describe('URL of an S3-compatible server. Default: AWS.'),
    region: z.string().min(1).max(64).default('us-east-1').describe('Region of the bucket.'),
    forcePathStyle: z
      .boolean()
      .default(false)
      .describe(
        'Address the bucket in the path rather than in the host name; most servers other than AWS need it.',
      ),
    credentialsSecretRef: objectRef('Secret')
      .optional()
      .describe(
        'A Secret with keys AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and optionally AWS_SESSION_TOKEN. ' +
          'It is mounted as files and read again when it changes. ' +
          'Default: the identity of the pods (serviceAccountName).',
      ),
    caConfigMapKeyRef: keyRef('ConfigMap', 'ca.crt')
      .optional()
      .describe('A ConfigMap with the certificate authority of the endpoint, PEM.'),
  }),
)

export const redis = z.strictObject({
  url: withRules(z.string().min(1).max(1024), {
    cel: "self.matches('^rediss?://[^@ ]+$')",
    message: 'must be a redis:// or rediss:// URL without credentials; put them into credentialsSecretRef',
    holds: (url) => /^rediss?:\/\/[^@ ]+$/.test(url),
  }).describe('Address of the Redis server that elects the leading JobManager, redis:// or rediss://.'),
  credentialsSecretRef: objectRef('Secret')
    .optional()
    .describe('A Secret with keys password and optionally username.'),
  caConfigMapKeyRef: keyRef('ConfigMap', 'ca.crt')
    .optional()
    .describe('A ConfigMap with the certificate authority of the server, PEM.'),
  keyPrefix: z
    .string()
    .min(1)
    .max(128)
    .default('weir')
    .describe('First part of every key, for access control lists.'),
})
