// Process 1 inside the client machine: prepares it, then does what the test asks for.
//
// It runs in user-mode Linux, whose / is the host's: what is written must be below a tmpfs.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { AGENT_READY, type AgentAnswer, type AgentRequest } from "./agent-protocol.ts";
import { prepareMachine } from "./machine-setup.ts";

const serialLine = "/dev/ttyS0";

const environment = {
  ...process.env,
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/tmp",
  // The runtime would keep its cache in the host's file system.
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
};

const [address = "", ...more] = process.argv.slice(2);
// The kernel appends words of its own, such as `console=tty0`.
const disks = more.filter((word) => word.startsWith("/"));
const started = new Map<number, ChildProcess>();

prepareMachine({ address, disks, serialLine, environment });
const line = openSync(serialLine, "r+");
say(AGENT_READY);
for await (const text of createInterface({ input: createReadStream("", { fd: line }) })) {
  // The line carries only what the lab's own client sends.
  const { id, request } = JSON.parse(text) as { id: number; request: AgentRequest };
  void timed(request).then((answer) => say(JSON.stringify({ id, answer })));
}

function say(text: string): void {
  const bytes = Buffer.from(`${text}\n`);
  for (let sent = 0; sent < bytes.length; ) sent += writeSync(line, bytes, sent);
}

async function timed(request: AgentRequest): Promise<AgentAnswer> {
  const startedMs = performance.now();
  const done = await perform(request).catch((error: unknown) => ({
    code: -1,
    text: "",
    errors: String(error),
  }));
  return { ...done, tookMs: Math.round(performance.now() - startedMs) };
}

async function perform(request: AgentRequest): Promise<Omit<AgentAnswer, "tookMs">> {
  switch (request.does) {
    case "run":
      return await run(request.command, request.timeoutMs);
    case "start":
      return start(request.command, request.log);
    case "await":
      return await ended(request.pid);
    case "signal":
      process.kill(request.pid, request.signal);
      return { code: 0, text: "", errors: "" };
    case "http":
      return await ask(request);
    default:
      throw new Error(`unknown request ${JSON.stringify(request satisfies never)}`);
  }
}

async function run(
  [program = "", ...parameters]: readonly string[],
  timeoutMs: number,
): Promise<Omit<AgentAnswer, "tookMs">> {
  const stdio = ["ignore", "pipe", "pipe"] as const;
  const child = spawn(program, parameters, { stdio: [...stdio], env: environment, detached: true });
  const text: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => text.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
  const late = Promise.withResolvers<readonly unknown[]>();
  const timer = setTimeout(() => {
    // With all that it started. What is stuck in the kernel stays, and is not waited for.
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    errors.push(Buffer.from(`(killed after ${timeoutMs} ms)`));
    late.resolve([]);
  }, timeoutMs);
  const [code] = await Promise.race([once(child, "close"), late.promise]);
  clearTimeout(timer);
  return {
    code: typeof code === "number" ? code : -1,
    text: Buffer.concat(text).toString(),
    errors: Buffer.concat(errors).toString(),
  };
}

function start(
  [program = "", ...parameters]: readonly string[],
  log: string,
): Omit<AgentAnswer, "tookMs"> {
  const output = openSync(log, "a");
  const child = spawn(program, parameters, {
    stdio: ["ignore", output, output],
    env: environment,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program} does not start`);
  started.set(pid, child);
  return { code: pid, text: "", errors: "" };
}

async function ended(pid: number): Promise<Omit<AgentAnswer, "tookMs">> {
  const child = started.get(pid);
  if (child === undefined) throw new Error(`process ${pid} was not started here`);
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return { code: child.exitCode ?? -1, text: child.signalCode ?? "", errors: "" };
}

async function ask(
  request: Extract<AgentRequest, { readonly does: "http" }>,
): Promise<Omit<AgentAnswer, "tookMs">> {
  const { socket, method, path, body, timeoutMs } = request;
  const answer = await fetch(`http://localhost${path}`, {
    unix: socket,
    method,
    signal: AbortSignal.timeout(timeoutMs),
    ...(body === undefined ? {} : { body, headers: { "Content-Type": "application/json" } }),
  });
  return { code: answer.status, text: await answer.text(), errors: "" };
}
