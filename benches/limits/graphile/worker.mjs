// graphile-worker as a user would run it for speed, driven by lines: benches/limits/graphile.rs starts it and reads them.
//
//   node worker.mjs drain TOOLS URL JOBS CONCURRENCY
//   node worker.mjs idle TOOLS URL CONCURRENCY
//
// TOOLS is the folder that it is installed in, URL an empty database. `drain` adds the jobs and says `ready`; at the first
// line that comes in it works until they are done, and says `drained SECONDS`. `idle` says `ready` and then, for
// every line that comes in, adds one job and says `started MILLISECONDS`. Both stop when their input ends.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [mode, tools, url, ...rest] = process.argv.slice(2);
// What scripts/setup installs stands in the target folder, where an import by name would not find it.
const { Logger, makeWorkerUtils, run } = createRequire(`${tools}/`)("graphile-worker");
const { Pool } = createRequire(`${tools}/`)("pg");

// So that what goes wrong is seen, and that nothing is written for every job.
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});

// Both as in its own performance tests; the drain is the one that its batches are for.
const batches = {
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};

function preset(concurrency, more) {
  return {
    worker: {
      connectionString: url,
      concurrentJobs: concurrency,
      maxPoolSize: concurrency + 1,
      logger,
      ...more,
    },
  };
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const told = async () => !(await lines.next()).done;
const say = (...words) => console.log(words.join(" "));

async function drain(jobs, concurrency) {
  const pool = new Pool({ connectionString: url, max: 1 });
  pool.on("error", (error) => console.error(error.message));
  pool.on("connect", (client) => client.on("error", (error) => console.error(error.message)));
  const utils = await makeWorkerUtils({ pgPool: pool, preset: { worker: { logger } } });
  await utils.migrate();
  await pool.query(
    `SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
       SELECT json_populate_record(NULL::graphile_worker.job_spec,
         json_build_object('identifier', 'nothing', 'payload', json_build_object('id', n)))
       FROM generate_series(1, $1::int) n))`,
    [jobs],
  );
  say("ready");
  if (!(await told())) return;

  let first;
  let done = 0;
  let allDone;
  const all = new Promise((resolve) => {
    allDone = resolve;
  });
  const nothing = () => {
    first ??= process.hrtime.bigint();
    done += 1;
    if (done === jobs) allDone();
  };
  const runner = await run({
    preset: preset(concurrency, batches),
    taskList: { nothing },
    crontab: "",
    noHandleSignals: true,
  });
  await all;
  // Done is what the database has as done.
  const left = "SELECT EXISTS (SELECT FROM graphile_worker._private_jobs) AS any";
  while ((await pool.query(left)).rows[0].any) await new Promise((resolve) => setTimeout(resolve, 2));
  say("drained", Number(process.hrtime.bigint() - first) / 1e9);
  await runner.stop();
  await utils.release();
  await pool.end();
}

async function idle(concurrency) {
  let started;
  const runner = await run({
    preset: preset(concurrency, batches),
    taskList: { nothing: () => started(process.hrtime.bigint()) },
    crontab: "",
    noHandleSignals: true,
  });
  say("ready");
  while (await told()) {
    const start = new Promise((resolve) => {
      started = resolve;
    });
    const added = process.hrtime.bigint();
    await runner.addJob("nothing", {});
    say("started", Number((await start) - added) / 1e6);
  }
  await runner.stop();
}

switch (mode) {
  case "drain":
    await drain(Number(rest[0]), Number(rest[1]));
    break;
  case "idle":
    await idle(Number(rest[0]));
    break;
  default:
    throw new Error(`neither drain nor idle: ${mode}`);
}
