/** REST of a real JobManager on a real socket, for callers that behave and callers that do not. */
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '#runtime/base/logger'
import { WeirError } from '#runtime/base/errors'
import { JobMetrics } from '#runtime/job-manager/metrics'
import { RestServer } from '#runtime/job-manager/rest-server'
import { JOB } from '#test/kit/commit-log'
import { JobWorld, type Candidate } from '#test/kit/job-world'
import { TOKEN } from '#test/kit/scripted-task-manager'
import { eventually } from '#tools/servers/eventually'

const soon = (what: string, check: () => boolean | Promise<boolean>) =>
  eventually(check, { what, limitMs: 8000, everyMs: 5 })

/** A candidate's REST server, gone with the scope. */
async function serving(world: JobWorld, candidate: Candidate) {
  const server = new RestServer({
    host: '127.0.0.1',
    port: 0,
    token: TOKEN,
    clock: world.clock,
    logger: silentLogger,
    source: candidate.jobManager,
    metrics: new JobMetrics(JOB),
    timing: { requestMs: 300, debounceMs: 50, beatMs: 1000 },
  })
  const port = await server.listen()
  const url = `http://127.0.0.1:${port}`
  const get = async (path: string) => {
    const response = await fetch(`${url}${path}`)
    return { status: response.status, body: (await response.json()) as any }
  }
  const post = async (path: string, body: unknown = {}) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: response.status, body: (await response.json()) as any }
  }
  return { server, port, url, get, post, [Symbol.asyncDispose]: () => server.close() }
}

const running = async (world: JobWorld) => {
  const { leader, tm } = await world.running()
  return { leader, tm, rest: await serving(world, leader) }
}

describe('what a leader shows', () => {
  test('facts, plan, vertices, TaskManagers, exceptions and metrics', async () => {
    await using world = new JobWorld()
    const { leader, tm, rest } = await running(world)
    await using _ = rest
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    expect((await rest.get('/overview')).body).toMatchObject({
      leading: true,
      state: 'Running',
      epoch: 1,
      attempt: '1.1',
      slots: { total: 1, wanted: 1 },
      checkpoint: { completed: 1, last: { id: 1, path: 'file:///job/chk/1-1' } },
    })
    expect((await rest.get('/jobs/current/plan')).body.hash).toBe('plan-1')
    expect((await rest.get('/jobs/current/vertices')).body).toMatchObject([
      { id: 'v', subtasks: [{ subtask: 0, taskManager: 'tm-1', state: 'Running', watermark: null }] },
    ])
    expect((await rest.get('/taskmanagers')).body).toMatchObject([{ id: 'tm-1', slots: 1 }])
    expect((await rest.get('/jobs/current/exceptions')).body).toEqual([])
    expect((await rest.get('/jobs/current/checkpoints')).body.latest.completed.id).toBe(1)
    expect((await rest.get('/jobs/current/checkpoints/details/1')).body.subtasks).toHaveLength(1)
    const metrics = await (await fetch(`${rest.url}/metrics`)).text()
    expect(metrics).toMatch(/weir_job_state\{state="Running",.*\} 1/)
    expect(metrics).toMatch(/weir_checkpoints_completed_total\{.*\} 1/)
    expect(leader.state).toBe('Running')
  })

  test('what was skipped, of the job and of each vertex, until the next attempt reports', async () => {
    await using world = new JobWorld()
    const { tm, rest } = await running(world)
    await using _ = rest
    const skipped = { lateDropped: 5, badRecords: 6, skippedCommits: 7, leftPending: 8 }
    const counts = {
      recordsIn: 1,
      recordsOut: 1,
      recordsWritten: 1,
      busyMs: 0,
      backPressuredMs: 0,
      watermark: 0,
    }
    tm.subtasks = [{ vertex: 'v', subtask: 0, ...counts, ...skipped }]
    tm.sayHeartbeat()
    await world.settle()
    expect((await rest.get('/overview')).body.skipped).toEqual(skipped)
    expect((await rest.get('/jobs/current/vertices')).body[0].subtasks[0]).toMatchObject(skipped)
    const metrics = await (await fetch(`${rest.url}/metrics`)).text()
    for (const [name, value] of [
      ['weir_vertex_late_dropped_total', 5],
      ['weir_vertex_bad_records_total', 6],
      ['weir_vertex_skipped_commits_total', 7],
      ['weir_vertex_left_pending', 8],
    ])
      expect(metrics).toMatch(new RegExp(`^${name}\\{vertex="v",.*\\} ${value}$`, 'm'))
    tm.subtasks = []
    tm.sayHeartbeat()
    await world.settle()
    expect((await rest.get('/overview')).body.skipped).toEqual(skipped)
  })

  test('records out are those that sinks were given, not those that came to their vertex', async () => {
    await using world = new JobWorld()
    const { tm, rest } = await running(world)
    await using _ = rest
    const skipped = { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 }
    const counts = { recordsIn: 50, recordsOut: 0, busyMs: 0, backPressuredMs: 0, watermark: 0 }
    tm.subtasks = [{ vertex: 'v', subtask: 0, ...counts, recordsWritten: 1, ...skipped }]
    tm.sayHeartbeat()
    await world.settle()
    expect((await rest.get('/overview')).body.records).toMatchObject({ out: 1 })
  })

  test('the lag of event time, where there is any', async () => {
    await using world = new JobWorld()
    const { rest } = await running(world)
    await using _ = rest
    const metrics = async () => (await fetch(`${rest.url}/metrics`)).text()
    expect(await metrics()).not.toMatch(/^weir_job_watermark_lag_seconds/m)
    const { body: facts } = await rest.get('/overview')
    const shown = await new JobMetrics(facts.job).render({ ...facts, watermark: 1000 }, [], 6000)
    expect(shown).toMatch(/^weir_job_watermark_lag_seconds\{.*\} 5$/m)
  })

  test('the exception that ended an attempt', async () => {
    await using world = new JobWorld()
    const { tm, rest } = await running(world)
    await using _ = rest
    tm.die()
    await world.settle()
    expect((await rest.get('/jobs/current/exceptions')).body).toMatchObject([
      { attempt: '1.1', taskManager: 'tm-1', error: { code: 'NET_LOST' } },
    ])
  })

  test.each(['/jobs/current/checkpoints/details/99', '/jobs/current/checkpoints/details/x', '/nowhere'])(
    'nothing at %s',
    async (path) => {
      await using world = new JobWorld()
      const { rest } = await running(world)
      await using _ = rest
      const { status, body } = await rest.get(path)
      expect(status).toBe(404)
      expect(body).toMatchObject({ code: 'CFG_INVALID' })
    },
  )
})

describe('what a leader is asked for', () => {
  test('a savepoint, found by its trigger id', async () => {
    await using world = new JobWorld()
    const { rest } = await running(world)
    await using _ = rest
    const asked = await rest.post('/jobs/current/savepoints', { triggerId: 'mine', path: 'before-upgrade' })
    expect(asked.body).toEqual({ triggerId: 'mine' })
    await world.settle()
    expect((await rest.get('/jobs/current/savepoints/mine')).body).toMatchObject({
      status: 'Completed',
      path: 'file:///job/before-upgrade',
    })
    expect((await rest.get('/jobs/current/savepoints')).body).toMatchObject([{ id: 1, stop: false }])
    expect((await rest.get('/jobs/current/savepoints/unknown')).status).toBe(404)
  })

  test('a checkpoint, with a trigger id of its own where none is given', async () => {
    await using world = new JobWorld()
    const { rest } = await running(world)
    await using _ = rest
    const { body } = await rest.post('/jobs/current/checkpoints')
    await world.settle()
    expect((await rest.get(`/jobs/current/checkpoints/${body.triggerId}`)).body.status).toBe('Completed')
  })

  test('a stop', async () => {
    await using world = new JobWorld()
    const { leader, rest } = await running(world)
    await using _ = rest
    await rest.post('/jobs/current/stop', { triggerId: 's', mode: 'savepoint', drain: true })
    await world.settle()
    expect(leader.state).toBe('Drained')
    expect((await rest.get('/overview')).body).toMatchObject({ state: 'Drained', leading: true })
  })

  test('to keep a checkpoint that another job starts from', async () => {
    await using world = new JobWorld()
    const { tm, rest } = await running(world)
    await using _ = rest
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    const pinned = await rest.post('/jobs/current/pins', { path: 'file:///job/chk/1-1', by: 'default/copy' })
    expect(pinned).toMatchObject({ status: 200, body: { id: 1 } })
    expect(pinned.body.until).toBeGreaterThan(world.clock.now())
    const late = await rest.post('/jobs/current/pins', { path: 'file:///job/chk/9-1', by: 'default/copy' })
    expect(late).toMatchObject({ status: 409, body: { code: 'CKP_RESTORE' } })
    expect(late.body.message).toContain('It retains file:///job/chk/1-1.')
  })

  test.each([
    ['a pin of nothing', '/jobs/current/pins', { by: 'default/copy' }],
    ['a pin for nobody', '/jobs/current/pins', { path: 'file:///job/chk/1-1', by: '' }],
    ['a pin of another job', '/jobs/current/pins', { path: 'file:///other/chk/1-1', by: 'default/copy' }],
    ['a stop with a checkpoint at a path', '/jobs/current/stop', { mode: 'checkpoint', path: 'x' }],
    ['a stop in an unknown mode', '/jobs/current/stop', { mode: 'kill' }],
    ['a savepoint with an unknown field', '/jobs/current/savepoints', { directory: 'x' }],
    ['a savepoint at an empty path', '/jobs/current/savepoints', { path: '' }],
    ['a body that is no object', '/jobs/current/savepoints', 'now'],
    ['a trigger id without end', '/jobs/current/savepoints', { triggerId: 'x'.repeat(201) }],
  ])('%s is refused, and nothing happens', async (_what, path, body) => {
    await using world = new JobWorld()
    const { leader, rest } = await running(world)
    await using _ = rest
    const answer = await rest.post(path, body)
    expect(answer.status).toBe(400)
    expect(answer.body.code).toBe('CFG_INVALID')
    await world.settle()
    expect(leader.state).toBe('Running')
    expect(leader.jobManager.facts().operations).toEqual([])
  })

  test('what is no JSON, or too long', async () => {
    await using world = new JobWorld()
    const { rest } = await running(world)
    await using _ = rest
    const post = (body: string) => {
      const headers = { 'content-type': 'application/json' }
      return fetch(`${rest.url}/jobs/current/stop`, { method: 'POST', headers, body })
    }
    expect((await post('{')).status).toBe(400)
    expect((await post(JSON.stringify({ path: 'x'.repeat(70_000) }))).status).toBe(413)
  })
})

describe('a standby', () => {
  test('shows that it does not lead, and refuses what only a leader can do, naming it', async () => {
    await using world = new JobWorld()
    const standby = await world.candidate()
    await using rest = await serving(world, standby)
    expect((await rest.get('/overview')).body).toMatchObject({ leading: false, state: 'Created' })
    expect((await rest.post('/jobs/current/stop')).status).toBe(421)
    standby.election.see('jm-2')
    const { status, body } = await rest.post('/jobs/current/savepoints')
    expect(status).toBe(421)
    expect(body).toMatchObject({
      code: 'NET_REFUSED',
      message: 'This JobManager is a standby; jm-2 leads',
    })
    expect((await rest.get('/jobs/current/exceptions')).body).toEqual([])
  })

  test('is ready once it stands for the lease, and alive before', async () => {
    await using world = new JobWorld()
    const probing = Promise.withResolvers<void>()
    const candidate = await world.candidate({ options: { probe: () => probing.promise } })
    await using rest = await serving(world, candidate)
    expect((await rest.get('/healthz')).status).toBe(200)
    expect(await rest.get('/readyz')).toEqual({ status: 503, body: { ok: false, message: 'starting' } })
    expect((await rest.get('/jobs/current/plan')).status).toBe(200)
    probing.resolve()
    await world.settle()
    expect((await rest.get('/readyz')).status).toBe(200)
  })
})

describe('a caller that does not call from this machine’s own address', () => {
  /** Linux takes every address of 127/8 for one of its own. */
  const status = (port: number, path: string, token?: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const options = { port, path, headers, host: '127.0.0.1', localAddress: '127.0.0.2', agent: false }
      request(options, (answer) => resolve(answer.resume().statusCode))
        .on('error', reject)
        .end()
    })

  test('needs the token, but for health and metrics', async () => {
    await using world = new JobWorld()
    const { rest } = await running(world)
    await using _ = rest
    expect(await status(rest.port, '/overview')).toBe(401)
    expect(await status(rest.port, '/overview', 'another-token-for-tests')).toBe(401)
    expect(await status(rest.port, '/overview', TOKEN)).toBe(200)
    expect(await status(rest.port, '/overview?x=/healthz')).toBe(401)
    for (const path of ['/healthz', '/readyz', '/metrics', '/metrics?x=1'])
      expect(await status(rest.port, path)).toBe(200)
  })
})

/** A socket that sends what a test wants. */
function stranger(port: number) {
  const socket: Socket = connect(port, '127.0.0.1')
  const state = { closed: false, text: '' }
  socket.on('data', (chunk) => (state.text += chunk.toString()))
  socket.on('error', () => undefined)
  socket.on('close', () => (state.closed = true))
  return { socket, state }
}

describe('a connection is cut', () => {
  test('whose request comes too slowly, in its headers or in its body', async () => {
    await using world = new JobWorld()
    const { rest } = await running(world)
    await using _ = rest
    const [headers, body] = [stranger(rest.port), stranger(rest.port)]
    headers.socket.write('GET /overview HTTP/1.1\r\nHost: x\r\nX-Slow: ')
    body.socket.write(
      'POST /jobs/current/stop HTTP/1.1\r\nHost: x\r\n' +
        'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    )
    await soon('the end of both', () => headers.state.closed && body.state.closed)
    expect(headers.state.text).toMatch(/408/)
  })

  test('that speaks no HTTP', async () => {
    await using world = new JobWorld()
    const { rest } = await running(world)
    await using _ = rest
    const peer = stranger(rest.port)
    peer.socket.write(Buffer.from([200, 0, 0, 0, 1, 2, 3, 13, 10, 13, 10]))
    await soon('its end', () => peer.state.closed)
    expect((await rest.get('/healthz')).status).toBe(200)
  })

  test('that reads no events for too long, and memory does not grow', async () => {
    await using world = new JobWorld()
    // A message of a megabyte makes a short test of a long time.
    const plan = () => Promise.reject(new WeirError('CFG_MODULE', 'x'.repeat(1024 * 1024)))
    const candidate = await world.candidate({ options: { plan } })
    await using rest = await serving(world, candidate)
    const peer = stranger(rest.port)
    peer.socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
    await soon('the first line', () => peer.state.text.length > 1000)
    peer.socket.pause()
    for (let i = 0; i < 30; i++) {
      await world.pass(1000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    peer.socket.resume()
    await soon('its end', () => peer.state.closed)
    expect(peer.state.text.length).toBeLessThan(25 * 1024 * 1024)
  })
})

describe('the stream of events', () => {
  test('begins with the facts, tells of changes soon, and of itself each second', async () => {
    await using world = new JobWorld()
    const { leader } = await world.running({ checkpoint: { intervalMs: 600_000 } })
    await using rest = await serving(world, leader)
    const peer = stranger(rest.port)
    peer.socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
    const lines = () => peer.state.text.match(/^\{"version".*\}$/gm) ?? []
    await soon('the first line', () => lines().length === 1)
    rest.server.changed()
    rest.server.changed()
    await world.pass(50)
    await soon('the second line', () => lines().length === 2)
    await world.pass(1000)
    await soon('the third line', () => lines().length === 3)
    peer.socket.destroy()
  })

  test('tells of each state of the job at once, however short it is', async () => {
    await using world = new JobWorld()
    let onChange = (): void => undefined
    const { leader } = await world.running({
      checkpoint: { intervalMs: 600_000 },
      options: { onChange: () => onChange() },
    })
    await using rest = await serving(world, leader)
    const peer = stranger(rest.port)
    peer.socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
    const states = () => peer.state.text.match(/"state":"\w+","stateSince"/g) ?? []
    await soon('the first line', () => states().length === 1)
    onChange = () => rest.server.changed()
    await rest.post('/jobs/current/stop')
    await soon('the second line', () => states().some((it) => it.includes('Stopping')))
    peer.socket.destroy()
  })

  test('is not told of heartbeats that change nothing', async () => {
    await using world = new JobWorld()
    let changes = 0
    const { tm } = await world.running({
      checkpoint: { intervalMs: 600_000 },
      options: { onChange: () => changes++ },
    })
    const before = changes
    await world.pass(60_000)
    expect(tm.execution?.state).toBe('Running')
    expect(changes).toBe(before)
  })

  test('ends with the server, which waits for nobody', async () => {
    await using world = new JobWorld()
    const { leader } = await world.running()
    const rest = await serving(world, leader)
    const peer = stranger(rest.port)
    peer.socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
    const silent = stranger(rest.port)
    await soon('both connections', () => peer.state.text !== '' && silent.socket.readyState === 'open')
    const start = performance.now()
    await rest.server.close()
    rest.server.changed()
    expect(performance.now() - start).toBeLessThan(2000)
    await soon('the end of both', () => peer.state.closed && silent.state.closed)
  })
})

test('a port that is in use is named', async () => {
  await using world = new JobWorld()
  const { leader, rest } = await running(world)
  await using _ = rest
  const second = new RestServer({
    host: '127.0.0.1',
    port: rest.port,
    token: TOKEN,
    clock: world.clock,
    logger: silentLogger,
    source: leader.jobManager,
    metrics: new JobMetrics(JOB),
  })
  await expect(second.listen()).rejects.toThrow(`Cannot listen for REST on 127.0.0.1:${rest.port}`)
})
