// `holdfast install` and `holdfast uninstall`: one line per step, as it is taken.
import type { Installer, InstallRequest, StepReport } from "../core/installation.ts";
import type { Invocation } from "./command.ts";
import { completionScripts } from "./completion.ts";
import { CliFailure } from "./failure.ts";
import { renderManPage } from "./man-page.ts";
import { colours } from "./style.ts";

/** Exit codes of STYLE.md, section 6. */
const exits = { denied: 5, unsupported: 6 };

const stateColumns = 11;

export async function runInstall(invocation: Invocation): Promise<number> {
  const { options, parts } = invocation;
  const installer = await installerOf(invocation);
  const { bash, zsh, fish } = completionScripts;
  const { daemonOptions } = installer;
  const manPage = renderManPage({ version: await parts.version(), daemonOptions });
  const texts = { bash, zsh, fish, manPage };
  return show(invocation, installer.install({ ...commonOf(options), texts }));
}

export async function runUninstall(invocation: Invocation): Promise<number> {
  const installer = await installerOf(invocation);
  return show(invocation, installer.uninstall(commonOf(invocation.options)));
}

async function installerOf({ options, parts, terminal }: Invocation): Promise<Installer> {
  if (parts.installer === undefined) {
    throw new CliFailure("this build of holdfast cannot be installed", exits.unsupported);
  }
  const isHere = options.text("destdir") === undefined && !options.flag("dry-run");
  if (isHere && (await terminal.userId()) !== 0) {
    throw new CliFailure("only root may change this host", exits.denied, {
      recovery: "Run it with sudo; --dry-run shows what it would do, --destdir needs no root.",
    });
  }
  return parts.installer();
}

function commonOf(options: Invocation["options"]): Omit<InstallRequest, "texts"> {
  return {
    destdir: options.text("destdir"),
    isDryRun: options.flag("dry-run"),
    isForced: options.flag("force"),
  };
}

async function show(
  { options, terminal }: Invocation,
  steps: AsyncIterable<StepReport>,
): Promise<number> {
  const isTerminal = await terminal.isOutTerminal();
  const { dim } = colours(terminal);
  for await (const step of steps) {
    const isDull = isTerminal && step.state === "unchanged";
    const line = options.flag("json") ? JSON.stringify(step) : wordsOf(step);
    await terminal.out(`${isDull ? dim(line) : line}\n`);
  }
  return 0;
}

function wordsOf({ state, what, why }: StepReport): string {
  const reason = why === undefined ? "" : `: ${why}`;
  return `${state.padEnd(stateColumns)}${what}${reason}`;
}
