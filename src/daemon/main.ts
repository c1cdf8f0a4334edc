// `holdfast daemon`: reads the configuration, runs until it is told to stop.
import { toEngineError } from "../core/errors.ts";
import { createLogger, type Logger } from "../host/logs.ts";
import { inheritedListeners, sdNotify } from "../host/service.ts";
import { ListenError } from "../http/unix-listener.ts";
import { assemble, type Daemon } from "./assemble.ts";
import { version } from "./build-facts.ts";
import { type DaemonConfig, readConfig } from "./config.ts";
import { renderDaemonHelp } from "./settings.ts";

/** Exit codes: clean end, a failure told in a sentence, wrong arguments, a bug. */
const EXIT = { clean: 0, failed: 1, usage: 2, bug: 70 } as const;
/** What the daemon makes is for its owner, and what others may read says so itself. */
const UMASK = 0o022;

/** Runs the daemon and resolves with the exit code of the process. */
export async function runDaemon(args: readonly string[]): Promise<number> {
  process.umask(UMASK);
  if (args.some((word) => word === "--help" || word === "-h")) {
    process.stdout.write(renderDaemonHelp());
    return EXIT.clean;
  }
  let config: DaemonConfig;
  try {
    config = readConfig({
      args,
      environment: process.env,
      userId: process.getuid?.() ?? 0,
    });
  } catch (error) {
    return refuse(error, EXIT.usage);
  }
  const logger = createLogger({ level: config.logLevel });
  endOnBug(logger);
  let daemon: Daemon;
  try {
    daemon = await assemble({ config, logger, inherited: inheritedListeners() });
  } catch (error) {
    await logger.flush();
    return refuse(error, EXIT.failed);
  }
  // Before anybody is told that it is ready: whoever waits for that may stop it at once.
  const stopping = stopSignal();
  announce(daemon, config, logger);
  await stopping;
  notify("STOPPING=1", logger);
  const cutOffCount = await daemon.stop();
  logger.bind({}).info("stopped", { cutOffCount });
  await logger.flush();
  return EXIT.clean;
}

/** One line for people and scripts, READY=1 for systemd. */
function announce(daemon: Daemon, config: DaemonConfig, logger: Logger): void {
  const log = logger.bind({});
  for (const warning of daemon.warnings) log.warn(warning);
  const { addresses, volumeCount } = daemon;
  log.info("started", { version, root: config.root, addresses, volumeCount, pid: process.pid });
  // Whoever started it may have closed his end: that is no reason to stop.
  process.stdout.on("error", () => undefined);
  process.stdout.write(
    `holdfast ${version} is ready on ${addresses.join(", ")} ` +
      `(root ${config.root}, ${volumeCount} volumes)\n`,
  );
  notify("READY=1", logger);
}

function notify(message: string, logger: Logger): void {
  try {
    sdNotify(message);
  } catch (error) {
    logger.bind({}).warn("the service manager could not be told", { error: String(error) });
  }
}

/** The first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let isAsked = false;
    const ask = (): void => {
      if (isAsked) process.exit(EXIT.failed);
      isAsked = true;
      resolve();
    };
    process.on("SIGTERM", ask);
    process.on("SIGINT", ask);
  });
}

/** State survives a kill at any moment; going on after a bug is what it would not survive. */
function endOnBug(logger: Logger): void {
  const end = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : String(error);
    logger.bind({}).error("a bug ends the daemon", { stack });
    void logger.flush().then(() => process.exit(EXIT.bug));
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}

/** One sentence on stderr, with the way out. */
function refuse(error: unknown, exitCode: number): number {
  if (error instanceof ListenError) {
    process.stderr.write(`holdfast: ${error.message}\n`);
    return exitCode;
  }
  const { code, message, recovery, kind } = toEngineError(error);
  process.stderr.write(`holdfast: ${message}\n${recovery}\n`);
  if (kind === "internal" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (kind === "internal") return EXIT.bug;
  return code === "config.invalid" ? EXIT.usage : exitCode;
}
