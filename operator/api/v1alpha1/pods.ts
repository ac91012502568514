/** What a user may say about the pods of a job. */
import * as z from 'zod'
import { objectName, preserved, withRules } from '#operator/api/schema'

/** Variables that the operator gives to every container of a job. */
export const OWN_VARIABLES: readonly string[] = ['WEIR_CONFIG', 'POD_NAME', 'POD_IP']

export const envVar = withRules(
  z.strictObject({
    name: withRules(
      z.string().min(1).max(253),
      {
        cel: "!self.contains('=')",
        message: 'must be the name of a variable, without "="',
        holds: (name) => !name.includes('='),
      },
      {
        cel: `!(self in [${OWN_VARIABLES.map((name) => `'${name}'`).join(', ')}])`,
        message: `${OWN_VARIABLES.join(', ')} are set by the operator`,
        holds: (name) => !OWN_VARIABLES.includes(name),
      },
    ).describe('Name of the variable. The operator sets POD_NAME, POD_IP and WEIR_CONFIG itself.'),
    value: z.string().max(32_768).optional().describe('Its value; $(NAME) refers to variables before it.'),
    valueFrom: preserved()
      .optional()
      .describe('Its source, as in a Pod: secretKeyRef, configMapKeyRef, fieldRef or resourceFieldRef.'),
  }),
  {
    cel: '!has(self.value) || !has(self.valueFrom)',
    message: 'only one of value and valueFrom may be set',
    holds: (v) => v.value === undefined || v.valueFrom === undefined,
  },
)

export const envFrom = withRules(
  z.strictObject({
    prefix: z.string().max(253).optional().describe('Put before every name.'),
    configMapRef: z
      .strictObject({
        name: objectName().describe('Name of the ConfigMap.'),
        optional: z.boolean().optional().describe('It may be missing.'),
      })
      .optional()
      .describe('All keys of a ConfigMap.'),
    secretRef: z
      .strictObject({
        name: objectName().describe('Name of the Secret.'),
        optional: z.boolean().optional().describe('It may be missing.'),
      })
      .optional()
      .describe('All keys of a Secret.'),
  }),
  {
    cel: 'has(self.configMapRef) != has(self.secretRef)',
    message: 'exactly one of configMapRef and secretRef must be set',
    holds: (e) => (e.configMapRef === undefined) !== (e.secretRef === undefined),
  },
)

const named = z.looseObject({ name: z.string().min(1).max(253).describe('Name that it is merged by.') })
const template = z.looseObject({
  metadata: z
    .looseObject({
      labels: z
        .record(z.string(), z.string())
        .optional()
        .describe('Labels of the pods; those of weir.dev and app.kubernetes.io cannot be changed.'),
      annotations: z.record(z.string(), z.string()).optional().describe('Annotations of the pods.'),
    })
    .optional()
    .describe('Metadata of the pods.'),
  spec: z
    .looseObject({
      containers: z
        .array(named)
        .max(32)
        .optional()
        .describe(
          'Merged by name over the containers job-manager and task-manager; ' +
            'other names are added as they are.',
        ),
      initContainers: z.array(named).max(32).optional().describe('Added to every pod.'),
      volumes: z.array(named).max(64).optional().describe('Added to every pod.'),
    })
    .optional()
    .describe(
      'A PodSpec as in a Deployment: ' +
        'nodeSelector, tolerations, affinity, volumes, securityContext and so on.',
    ),
})

/** `whose` pods: of the job, of a JobManager, of a TaskManager. */
export const podTemplate = (whose: string) =>
  template.describe(
    `Changes to ${whose}: ` +
      'maps by key, containers and volumes by name, other lists replaced. ' +
      'It is checked when the pods are made (reason PodTemplateInvalid).',
  )
export type PodTemplate = z.infer<typeof template>
