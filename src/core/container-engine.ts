// A container engine (Docker Engine, Podman) that has used the volume driver socket.
//
// Holdfast asks it two things: which containers there are, running or not, with which volumes of
// ours; and, where a sharing mode was broken, to stop one. Only the *list* is ever asked for during
// a driver call: dockerd answers it in milliseconds then, while an inspect of the container that is
// being started hangs until the call times out (measured, dockerd 20.10). Podman holds its
// container's lock during a driver call, so it is not asked at all then (`isAskableInCalls`).
import type { Caller, Operation } from "./operation.ts";

/**
 * How long a container that is stopped may take to end by itself before it is killed. Less than the
 * ten seconds of `docker stop`: until then it writes where it must not.
 */
export const STOP_SECONDS = 2;

/** How long a container that is restarted may take to end by itself: as with `docker restart`. */
export const RESTART_SECONDS = 10;

/** One volume of ours in one container. */
export interface ContainerVolume {
  readonly volume: string;
  /** Where the container has it. */
  readonly destination: string;
  readonly isReadOnly: boolean;
}

/** A container, as its engine lists it. */
export interface EngineContainer {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  /** The Compose project it belongs to. */
  readonly project: string | null;
  /** Has processes: running, paused or restarting. */
  readonly isRunning: boolean;
  readonly volumes: readonly ContainerVolume[];
}

/**
 * What an engine keeps a wanted number of containers for: a service of a Docker Swarm. It names
 * volumes while it has no container at all.
 */
export interface EngineService {
  readonly id: string;
  readonly name: string;
  /**
   * Volumes that are ours or may be. A `*` stands for any text: for what Swarm fills in for each of
   * the service's tasks (`data-{{.Task.Slot}}`).
   */
  readonly volumes: readonly string[];
}

export type ContainerEngineKind = "docker" | "podman";

export interface ContainerEngine {
  readonly kind: ContainerEngineKind;
  /**
   * Tells it from every other engine of this machine, across restarts of it and of Holdfast:
   * `docker:/run/docker.sock`. Readable: messages name it.
   */
  readonly key: string;
  /** Whether `containers` may be asked for while the engine waits for an answer of ours. */
  readonly isAskableInCalls: boolean;
  /**
   * It mounts a volume once, with one ID, for all of its containers: a hold does not tell which of
   * them has it, and of a further one there is no Mount.
   */
  readonly mountsOnceForAll: boolean;
  /**
   * All containers that have a volume of our driver, running or not. Throws
   * `containers.unreachable` when the engine does not answer within its deadline.
   */
  containers(operation: Operation): Promise<readonly EngineContainer[]>;
  /**
   * All services that name a volume of our driver, or one without saying whose it is. None where
   * the engine manages no Swarm: of those that only work for one it knows nothing. Throws
   * `containers.unreachable`, also for a manager that cannot say just now.
   */
  services(operation: Operation): Promise<readonly EngineService[]>;
  /**
   * Whether the engine is working on this container just now, as on one that it starts; what could
   * not be told counts as yes. Waits for a fraction of a second. Never rejects.
   */
  isBusyWith(container: string, operation: Operation): Promise<boolean>;
  /**
   * Stops a container as `docker stop` does, and gives it `STOP_SECONDS` to end by itself. Throws
   * `containers.unreachable`.
   */
  stop(container: string, operation: Operation): Promise<void>;
  /**
   * Restarts a container as `docker restart` does, and gives it `RESTART_SECONDS` to end by itself.
   * One that is gone is no mistake. Throws `containers.unreachable`.
   */
  restart(container: string, operation: Operation): Promise<void>;
  /**
   * Starts a container that has run, that the engine is to keep running by its restart policy, and
   * whose last start failed at our driver or a volume of it, where `isWanted` agrees, which gets
   * what the engine says of that: no engine tries that again by itself. Resolves with whether it
   * was such a one. Throws `containers.unreachable`, also when it fails again.
   */
  startAgain(
    container: string,
    isWanted: (failure: string) => boolean,
    operation: Operation,
  ): Promise<boolean>;
}

/** Finds engines by those who call, and again after a restart by what was remembered. */
export interface ContainerEngineFinder {
  /**
   * The engine that this caller is; undefined: a program that is no engine we know. Looks at the
   * process only and waits for nothing.
   */
  ofCaller(caller: Caller): ContainerEngine | undefined;
  /** The engine of a remembered key; undefined for a key that this version does not understand. */
  ofKey(key: string): ContainerEngine | undefined;
  /**
   * Engines that run now and find our driver by its socket: for when what was remembered is lost.
   * One that is started for each call, as Podman is, is not among them.
   */
  running(): readonly ContainerEngine[];
}
