// The driver `sshfs`: directories of servers that are reached by SSH.
import fs from "node:fs";
import type { VolumeDriver } from "../../core/driver.ts";
import { isErrno, storageError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import { remoteDriver } from "../../remote/driver.ts";
import { FuseLogs } from "../../remote/fuse-logs.ts";
import {
  type FuseStart,
  lookFuseMasked,
  readNote,
  startFuse,
  stopFuse,
} from "../../remote/fuse-process.ts";
import type { RemoteKind, RemoteMount } from "../../remote/kind.ts";
import type { RemoteDriverParts } from "../../remote/parts.ts";
import { writeWhole } from "../../remote/whole-files.ts";
import {
  CONFIGURATION,
  hasLogin,
  type Login,
  readLogin,
  removeLogin,
  writeLogin,
} from "./login.ts";
import { parseSshfsOptions, type SshfsOptions, sshfsRules } from "./options.ts";
import { explainSshfs, serverOf } from "./words.ts";

const NAME = "sshfs";
const PROGRAM = "sshfs";
/** The arguments that what is mounted was started with, beside its credentials. */
const COMMAND = "command.json";

/** What sshfs says of a server that does not say how many files it can have. */
const INVENTED_FILE_COUNT = 1_000_000_000;

type Mount = RemoteMount<SshfsOptions>;

/** Throws `storage.*` when its directories cannot be made. */
export function sshfsDriver(parts: RemoteDriverParts): VolumeDriver {
  // Of all volumes, beside them: a server that one has met is known to all, and to their tests and
  // purges. No volume has such a name.
  const recorded = `${parts.root}/remote/${NAME}/.known_hosts`;
  return remoteDriver(sshfsKind(parts.host, recorded), parts);
}

/** `recorded` is the file that the keys of servers are recorded in at the first connection. */
export function sshfsKind(host: Host, recorded: string): RemoteKind<SshfsOptions> {
  const takesLinks = rememberLinks(host);
  const fuse = { host, logs: new FuseLogs() };
  return {
    name: NAME,
    program: PROGRAM,
    rules: sshfsRules,
    parse: parseSshfsOptions,
    address: ({ host: name, port }) => ({ host: name, port }),
    server: serverOf,
    place: ({ host: name, path }, subpath) =>
      `${name}:${directoryOf(path, subpath).replace(/\/\.$/, "")}`,

    async mount(mount, operation) {
      const login = await loginOf(mount);
      const args = argumentsOf(mount, login, await takesLinks(operation));
      try {
        writeLogin({ ...mount, login, recorded });
        writeCommand(mount, args);
        await startFuse(fuse, startOf(mount, login, args), operation);
        // The server's key is recorded by now, and no other one is accepted any more.
        writeLogin({ ...mount, login, recorded });
      } catch (thrown) {
        forget(mount);
        throw thrown;
      }
    },

    async unmount(mount, how, operation) {
      await stopFuse(fuse, mount, how, operation);
      forget(mount);
    },

    writeProof: "probe",
    // Of a server without the extension statvfs@openssh.com: 1000 GiB, whatever it has.
    isInvented: ({ fileCount }) => fileCount === INVENTED_FILE_COUNT,

    async look(mount) {
      const secrets = async () => [(await loginOf(mount)).text];
      const look = await lookFuseMasked(fuse, { ...mount, program: PROGRAM }, secrets);
      const isServed = look.stale === undefined && readNote(mount) !== undefined;
      if (isServed && !hasLogin(mount.runDirectory)) await writeAgain(mount, recorded);
      return look;
    },

    async refresh(mount, operation) {
      const login = await loginOf(mount);
      const args = argumentsOf(mount, login, await takesLinks(operation));
      // It keeps the password that it was started with.
      if (login.kind === "password" || readCommand(mount) !== JSON.stringify(args)) return false;
      writeLogin({ ...mount, login, recorded });
      return true;
    },
  };
}

function startOf(mount: Mount, login: Login, args: readonly string[]): FuseStart {
  const { target, runDirectory, options } = mount;
  return {
    ...{ program: PROGRAM, args, target, runDirectory },
    input: login.kind === "password" ? Buffer.from(`${login.text}\n`) : undefined,
    secrets: [login.text],
    explain: (words) => explainSshfs(words, options),
  };
}

async function loginOf({ secret }: Mount): Promise<Login> {
  // `parseSshfsOptions` has seen to it that there is one.
  if (secret === undefined) throw new Error("an sshfs volume without a secret");
  return readLogin(await secret());
}

/**
 * Somebody emptied the run directory: the next connection finds how to log in all the same. What is
 * connected goes on without a secret that cannot be read.
 */
async function writeAgain(mount: Mount, recorded: string): Promise<void> {
  let login: Login;
  try {
    login = await loginOf(mount);
  } catch {
    return;
  }
  writeLogin({ ...mount, login, recorded });
}

function argumentsOf(mount: Mount, login: Login, takesLinks: boolean): readonly string[] {
  const { options, subpath, target, runDirectory, isReadOnly } = mount;
  const { user, host, path, words, isServerTrusted } = options;
  const all = [
    "allow_other",
    // A connection that is lost is made anew at the next access, as often as it takes.
    "reconnect",
    ...words,
    ...(takesLinks ? [isServerTrusted ? "no_contain_symlinks" : "contain_symlinks"] : []),
    ...(isReadOnly ? ["ro"] : []),
    ...(login.kind === "password" ? ["password_stdin"] : []),
  ];
  const name = host.includes(":") ? `[${host}]` : host;
  const source = `${user}@${name}:${directoryOf(path, subpath)}`;
  return ["-f", "-F", `${runDirectory}/${CONFIGURATION}`, "-o", all.join(","), source, target];
}

/** "": the home directory. The dot at the end has a symbolic link to the directory followed. */
function directoryOf(path: string, subpath: string): string {
  const whole = path === "" ? subpath : subpath === "" ? path : `${path}/${subpath}`;
  return whole === "" ? "" : `${whole.replace(/\/+$/, "")}/.`;
}

/**
 * Newer versions refuse to show links that lead out of what is mounted. In a container they lead to
 * somewhere in the container, as on a disk. Older ones know no such option.
 */
function rememberLinks(host: Host): (operation: Operation) => Promise<boolean> {
  let known: boolean | undefined;
  return async (operation) => {
    known ??= (await host.run(PROGRAM, ["--help"], operation)).stdout.includes(
      "no_contain_symlinks",
    );
    return known;
  };
}

function writeCommand({ runDirectory }: Mount, args: readonly string[]): void {
  writeWhole(`${runDirectory}/${COMMAND}`, JSON.stringify(args));
}

/** undefined: nothing is mounted. */
function readCommand({ runDirectory }: Mount): string | undefined {
  const file = `${runDirectory}/${COMMAND}`;
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw storageError(error, `reading ${file}`);
  }
}

/** No credential is left. */
function forget({ runDirectory }: Mount): void {
  removeLogin(runDirectory);
  fs.rmSync(`${runDirectory}/${COMMAND}`, { force: true });
}
