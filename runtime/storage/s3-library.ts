/**
 * What is used of the AWS SDK, named one by one: the package that is installed has exactly this in
 * it (scripts/vendor.ts), not the SDK.
 */
export {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
export type {
  CompletedPart,
  ListMultipartUploadsCommandInput,
  ListObjectsV2CommandInput,
  S3ClientConfig,
  _Object,
} from '@aws-sdk/client-s3'
