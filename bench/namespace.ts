// A mount namespace of a daemon's own, with an empty /run: what it puts there stays there.
//
// Docker discovers every plugin socket below /run/docker/plugins, and Holdfast as root offers one
// there, so two engines that share a /run would find each other, or other engines of the machine.
import { programPath, run } from "./processes.ts";

/** A namespace that lives until it is disposed of and the last process in it has ended. */
export interface MountNamespace extends AsyncDisposable {
  /** Put before a command, runs it in the namespace, in the process that was started. */
  readonly prefix: readonly string[];
}

/** Makes the namespace. What is mounted on the machine by now is visible in it. Needs root. */
export async function mountNamespace(signal: AbortSignal): Promise<MountNamespace> {
  const unshare = programPath("unshare", "util-linux");
  const nsenter = programPath("nsenter", "util-linux");
  // `cat` keeps the namespace open; it echoes one line when the namespace has been made.
  const holder = Bun.spawn([unshare, "--mount", "--propagation", "slave", "cat"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const close = async (): Promise<void> => {
    await holder.stdin.end();
    await holder.exited;
  };
  try {
    holder.stdin.write("made\n");
    await holder.stdin.flush();
    const { done } = await holder.stdout.getReader().read();
    if (done) {
      throw new Error(`no mount namespace could be made: ${(await holder.stderr.text()).trim()}`);
    }
    const prefix = [nsenter, `--mount=/proc/${holder.pid}/ns/mnt`, "--"];
    const mount = ["mount", "-t", "tmpfs", "-o", "mode=0755", "holdfast-bench", "/run"];
    await run({ command: [...prefix, ...mount], signal });
    return { prefix, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
