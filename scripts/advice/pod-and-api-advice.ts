import type { Reason } from '#operator/api/conditions'
import type { Advice } from './advice.ts'

/** Reasons that come from the API server or from the state of pods. */
export const POD_AND_API_ADVICE = {
  PodTemplateInvalid: {
    why: '`podTemplate` has a field that does not exist, or a value that does not fit.',
    todo: "Correct the field that the server's words name.",
    page: 'bad-upgrade',
  },
  ObjectRefused: {
    why:
      'An admission webhook or a policy (Pod Security, Kyverno, Gatekeeper) forbids it, or a value ' +
      'is invalid.',
    todo: 'Change the spec as the words of the server ask, or have the policy changed. It is tried again.',
    page: 'bad-upgrade',
  },
  PermissionMissing: {
    why: 'A role of the chart was changed, or the namespace is not one of `watchNamespaces`.',
    todo:
      'Upgrade the chart with the namespace among `watchNamespaces`; the message names verb and ' +
      'resource.',
  },
  NamespaceTerminating: {
    why: 'Somebody deleted the namespace.',
    todo: 'Nothing; objects go with it. Checkpoints and savepoints stay in the bucket.',
  },
  ReconcileFailed: {
    why: 'The API server, or something that the operator asks, fails again and again.',
    todo: "Read the error; then the operator's log. Jobs run on meanwhile, but changes of specs wait.",
    page: 'operator-lost',
  },
  NameTaken: {
    why: 'An object that does not belong to this StreamJob has the name that it would give.',
    todo: 'Delete or rename the object that the message names, or give the StreamJob another name.',
  },
  QuotaExceeded: {
    why: 'A ResourceQuota of the namespace leaves no room for the pods.',
    todo: 'Raise the quota, or ask for fewer `replicas` or smaller `resources`.',
  },
  ImagePullFailed: {
    why: 'A misspelt image or tag, a registry without access, or a missing pull secret.',
    todo: 'Correct `spec.image`, or set `podTemplate.spec.imagePullSecrets`.',
    page: 'bad-upgrade',
  },
  ContainerFailing: {
    why: 'The process ends at its start; the message has its last words.',
    todo: 'Read them; the whole log is `kubectl logs POD --previous`. Correct the image, code or settings.',
    page: 'bad-upgrade',
  },
  OutOfMemory: {
    why: 'State and what is on its way between tasks need more than the limit.',
    todo:
      'Raise `taskManager.resources.limits.memory` (or that of the JobManager, if the message ' +
      'names it), or ' +
      'spread the state over more TaskManagers.',
    page: 'task-manager-lost',
  },
  Unschedulable: {
    why: 'No node is large enough, free, or matches selectors and tolerations: the message has the counts.',
    todo: 'Add nodes, ask for less in `resources`, or correct selectors and tolerations of `podTemplate`.',
    page: 'task-manager-lost',
  },
  ContainerConfigInvalid: {
    why: 'Mostly a Secret or ConfigMap of `env` that does not exist or lacks a key.',
    todo: 'Make what the message names, or correct the reference.',
    page: 'bad-upgrade',
  },
  MountFailed: {
    why: 'A volume names a Secret, ConfigMap or claim that does not exist, or the network of the node fails.',
    todo: 'Check the names in the message; `kubectl describe pod POD` has the events with the cause.',
    page: 'bad-upgrade',
  },
} as const satisfies Partial<Record<Reason, Advice>>
