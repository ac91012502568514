import type { ExecutionPlan, PlanEdge, PlanVertex } from '#runtime/contract/job-plan'

/**
 * The plan for people:
 *
 *     2 vertices, 3 tasks, exactly-once, max parallelism 128, hash 0f3c9a12
 *     lines.discover x1   discover files.lines(in/)
 *     lines x2            read files.lines(in/) -> words    <- rebalance lines.discover
 */
export function formatPlan(plan: ExecutionPlan): string {
  const tasks = plan.vertices.reduce((sum, v) => sum + v.parallelism, 0)
  const head = [
    count(plan.vertices.length, 'vertex', 'vertices'),
    count(tasks, 'task', 'tasks'),
    plan.guarantee,
    `max parallelism ${plan.maxParallelism}`,
    `hash ${plan.hash.slice(0, 8)}`,
  ].join(', ')
  const labelOf = (v: PlanVertex) => `${v.id} x${v.parallelism}`
  const width = Math.max(0, ...plan.vertices.map((v) => labelOf(v).length))
  const rows = plan.vertices.map((v) => {
    const inputs = plan.edges.filter((e) => e.to === v.id).map((e) => describeEdge(plan, e))
    const stateful = v.operators.filter((o) => o.stateful).map((o) => o.uid)
    return (
      `${labelOf(v).padEnd(width)}  ${v.name}` +
      (stateful.length === 0 ? '' : `  [state: ${stateful.join(', ')}]`) +
      (inputs.length === 0 ? '' : `  <- ${inputs.join(', ')}`)
    )
  })
  return [head, ...rows].join('\n')
}

function describeEdge(plan: ExecutionPlan, edge: PlanEdge): string {
  const chain = plan.vertices.find((v) => v.id === edge.from)?.operators ?? []
  return `${edge.partition} ${chain[edge.fromOperator]?.uid ?? edge.from}`
}

const count = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`
