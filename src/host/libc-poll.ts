// Descriptors that stand for processes, and what waits for many of them at once: pidfd and epoll.
import { loadLibc, systemError } from "./libc.ts";

const signatures = {
  close: { args: ["i32"], returns: "i32" },
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  syscall: { args: ["i64", "i64", "i64"], returns: "i64" },
} as const;

/** The same on every architecture. */
const SYS_pidfd_open = 434;
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;

/** struct epoll_event is packed on this one architecture: 32 bits of events, 64 of our own. */
const [EVENT_BYTES, DATA_AT] = process.arch === "x64" ? [12, 4] : [16, 8];

/** How many ends one look takes; the next look takes the others. */
const EVENTS_MAX = 64;

export interface ProcessPoll {
  /**
   * A descriptor of a process; ESRCH: there is none. Needs Linux 5.3: ENOSYS. It is closed by
   * `close`, which ends its watching too.
   */
  open(pid: number): number;
  /** Calls with each descriptor whose process has ended. Never waits. */
  look(ended: (descriptor: number) => void): void;
  close(descriptor: number): void;
}

/** Loads the calls. Errors have a code. */
export function openProcessPoll(): ProcessPoll {
  const calls = loadLibc(signatures);
  const epoll = calls.epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) throw systemError("epoll_create1");
  const answer = new Uint8Array(EVENT_BYTES * EVENTS_MAX);
  const events = new DataView(answer.buffer);
  return {
    open(pid) {
      const descriptor = Number(calls.syscall(SYS_pidfd_open, pid, 0));
      if (descriptor < 0) throw systemError("pidfd_open");
      const wanted = new Uint8Array(EVENT_BYTES);
      const event = new DataView(wanted.buffer);
      event.setUint32(0, EPOLLIN, true);
      event.setInt32(DATA_AT, descriptor, true);
      if (calls.epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, wanted) !== 0) {
        const error = systemError("epoll_ctl");
        calls.close(descriptor);
        throw error;
      }
      return descriptor;
    },
    look(ended) {
      const count = calls.epoll_wait(epoll, answer, EVENTS_MAX, 0);
      for (let index = 0; index < count; index += 1) {
        ended(events.getInt32(index * EVENT_BYTES + DATA_AT, true));
      }
    },
    close: (descriptor) => void calls.close(descriptor),
  };
}
