// Plays a client of docs/guide/locks.md in a container: it works under a lock until it is told.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianPython } from "../../tools/debian-packages.ts";
import { findProgram } from "../../tools/find-program.ts";
import { sourceRoot } from "../../tools/source-root.ts";
import { readFiles } from "../e2e/tour.ts";
import { eventually, runToEnd } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { curlImage, lockMount } from "./inside-bench.ts";

export const page = "docs/guide/locks.md";

/** How long the lock lives without being renewed; the page has longer ones. */
export const TTL_SECONDS = 8;

/** How long something that a client does may take. */
const followMs = 60_000;
const buildMs = 300_000;

export interface Client {
  readonly name: string;
  /** A container's command. */
  readonly command: readonly string[];
  /** Further words of `docker run`. */
  readonly words: readonly string[];
}

/** The clients are there as files of the page, with the drivers below. */
export function clientFolder(bench: HoldsBench): string {
  const folder = join(bench.folder, "clients");
  mkdirSync(folder, { recursive: true });
  const files = readFiles(readFileSync(join(sourceRoot, page), "utf8"));
  for (const [name, text] of files) writeFileSync(join(folder, name), text, { mode: 0o755 });
  // The only change: the page's time to live is long.
  const shell = (files.get("with-lock") ?? "").replace("ttl=15", `ttl=${TTL_SECONDS}`);
  writeFileSync(join(folder, "with-lock"), shell, { mode: 0o755 });
  for (const [name, text] of Object.entries(drivers)) writeFileSync(join(folder, name), text);
  return folder;
}

/** All programs of this machine, with their libraries. */
const withPrograms = ["-v", "/usr:/usr:ro"];

/** Each works until /data/stop is there: all print `fence N`, then `done`, or `lost`. */
export function clients(bench: HoldsBench): Readonly<Record<string, () => Client>> {
  const folder = clientFolder(bench);
  const files = ["-v", `${folder}:/client:ro`];
  return {
    curl: () => ({
      name: "curl",
      command: ["sh", "/client/with-lock", "shared", "job", "sh", "/client/work.sh"],
      words: files,
    }),
    node: () => {
      const node = findProgram("node") ?? "node";
      // As the page says: where it runs no TypeScript the types are taken away.
      const plain = new Bun.Transpiler({ loader: "ts" });
      for (const name of ["lock", "main"]) {
        const text = plain.transformSync(readFileSync(join(folder, `${name}.ts`), "utf8"));
        writeFileSync(join(folder, `${name}.mjs`), text.replace("./lock.ts", "./lock.mjs"));
      }
      const program = ["-v", `${node}:/node:ro`];
      const command = ["/node", "/client/main.mjs"];
      return { name: "node", command, words: [...files, ...withPrograms, ...program] };
    },
    bun: () => {
      const program = ["-v", `${process.execPath}:/bun:ro`];
      const command = ["/bun", "/client/main.ts"];
      return { name: "bun", command, words: [...files, ...withPrograms, ...program] };
    },
    python: () => ({
      name: "python",
      command: [debianPython, "-B", "/client/main.py"],
      words: [...files, ...withPrograms],
    }),
  };
}

/** Compiled once, to a program that needs nothing else. */
export async function goClient(bench: HoldsBench): Promise<Client> {
  const folder = clientFolder(bench);
  const environment = {
    ...{ GOCACHE: join(bench.folder, "go"), GO111MODULE: "off", CGO_ENABLED: "0", GOFLAGS: "" },
  };
  const words = ["build", "-o", join(folder, "go-client"), join(folder, "lock.go")];
  const built = await runToEnd("go", [...words, join(folder, "main.go")], {
    ...{ environment, timeoutMs: buildMs },
  });
  if (built.exit !== 0) throw new Error(`go build: ${built.stderr}`);
  return { name: "go", command: ["/client/go-client"], words: ["-v", `${folder}:/client:ro`] };
}

/** Starts it in a container of that name. Returns the container's id. */
export async function startClient(
  bench: HoldsBench,
  client: Client,
  name: string,
): Promise<string> {
  const place = ["--name", name, "--network", "none", "-v", "shared:/data"];
  const words = [...place, ...lockMount(bench), ...client.words];
  return await bench.docker("run", "-d", ...words, curlImage, ...client.command);
}

/** Waits until it has printed a word, and returns what follows on the line. */
export async function printed(bench: HoldsBench, name: string, word: string): Promise<string> {
  let seen = "";
  return await eventually(
    async () => {
      const { stdout, stderr } = await bench.dockerd.docker("logs", name);
      seen = stdout + stderr;
      const line = seen.split("\n").find((one) => one.split(" ")[0] === word);
      return line?.slice(word.length + 1);
    },
    { timeoutMs: followMs, otherwise: () => `${name} has not printed ${word}: ${seen}` },
  );
}

/** Waits for its end, and returns its exit code. */
export async function ended(bench: HoldsBench, name: string): Promise<number> {
  return Number(await bench.docker("wait", name));
}

const drivers: Readonly<Record<string, string>> = {
  "work.sh": `echo "fence $FENCE"
trap 'echo lost; exit 1' TERM
until [ -e /data/stop ]; do sleep 0.1; done
echo done
`,
  "main.ts": `import { existsSync } from "node:fs";
import { withLock } from "./lock.ts";
const pause = () => new Promise((resolve) => setTimeout(resolve, 100));
await withLock("shared/locks/job", ${TTL_SECONDS}, async (fence, lost) => {
  console.log(\`fence \${fence}\`);
  while (!lost.aborted && !existsSync("/data/stop")) await pause();
  console.log(lost.aborted ? "lost" : "done");
});
`,
  "main.py": `import os, time
from lock import lock
with lock("shared/locks/job", ${TTL_SECONDS}) as (fence, lost):
    print("fence", fence, flush=True)
    while not lost.is_set() and not os.path.exists("/data/stop"):
        time.sleep(0.1)
    print("lost" if lost.is_set() else "done", flush=True)
`,
  "main.go": `package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	ctx, fence, unlock, err := Lock("shared/locks/job", ${TTL_SECONDS}*time.Second)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer unlock()
	fmt.Println("fence", fence)
	for ctx.Err() == nil {
		if _, err := os.Stat("/data/stop"); err == nil {
			fmt.Println("done")
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Println("lost")
}
`,
};
