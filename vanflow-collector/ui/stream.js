/**
 * One connection for all that is on the screen. It is closed while nobody looks at the page, says when it is stale, and
 * begins with whole answers whenever it begins.
 * @module
 */
import * as api from './api.js';

/**
 * @typedef {'connecting' | 'open' | 'stale' | 'hidden'} StreamState
 * @typedef {(answer: any) => void} Receive
 * @typedef {(error: api.ApiError) => void} Fail
 * @typedef {{ path: string, receive: Receive, fail?: Fail }} Subscription
 */

/** A stream that is lost for longer than this is stale. */
const STALE_AFTER_MS = 5000;
/** How soon a lost stream is tried again. */
const RETRY_MS = 2000;
/** A clock that has not moved for longer stands. */
const STANDS_MS = 2000;
/** Clocks that differ by more show another time, µs. */
const OTHER_TIME = 60e6;

export class Stream {
  constructor() {
    /** @type {Map<string, Subscription>} */
    this.subscriptions = new Map();
    /** @type {EventSource | null} */
    this.source = null;
    /** Ends what asks why there is no stream. */
    this.asking = new AbortController();
    /** @type {StreamState} */
    this.state = 'connecting';
    /** Of the collector's clock, when something was heard last; microseconds. */
    this.heard = 0;
    /** The same by the clock of the browser, in ms. */
    this.heardAt = 0;
    /** What the collector's clock is ahead of ours, in microseconds. */
    this.offset = 0;
    /** What its clock was when that was said, and when by ours. @type {{ now: number, at: number } | null} */
    this.told = null;
    /** Whether its clock stands, as that of a capture does which has been replayed. */
    this.stands = false;
    /** What is done where it becomes another. @type {(state: StreamState) => void} */
    this.onState = () => {};
    /** What is done where it turns out that the collector's time is another than was thought. */
    this.onOtherTime = () => {};
    this.scheduled = false;
    this.probing = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.staleTimer = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.retryTimer = undefined;
    document.addEventListener('visibilitychange', () => this.schedule());
  }

  /** The collector's time, in microseconds: the only clock of the page. */
  now() {
    return this.stands && this.told ? this.told.now : Date.now() * 1000 + this.offset;
  }

  /**
   * Subscribes by name, in place of what had the name before. A null path ends it.
   * @param {string} name letters, at most 16
   * @param {Subscription | null} subscription
   */
  set(name, subscription) {
    const before = this.subscriptions.get(name);
    if (subscription === null) this.subscriptions.delete(name);
    else this.subscriptions.set(name, subscription);
    if (before?.path !== subscription?.path) this.schedule();
  }

  /** Connects anew once all that changes now has changed. */
  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.connect();
    });
  }

  connect() {
    this.disconnect();
    if (document.hidden) {
      this.become('hidden');
      return;
    }
    if (this.state === 'hidden') this.become('connecting');
    if (this.subscriptions.size === 0) return;
    this.expectSoon();
    this.listen();
  }

  disconnect() {
    this.expect();
    clearTimeout(this.retryTimer);
    this.source?.close();
    this.source = null;
    this.asking.abort();
  }

  listen() {
    const query = new URLSearchParams();
    for (const [name, { path }] of this.subscriptions) query.set(name, path);
    const path = `v1/stream?${query}`;
    const source = new EventSource(api.address(`api/${path}`));
    this.source = source;
    source.addEventListener('hello', (event) => {
      this.hear(JSON.parse(/** @type {MessageEvent} */ (event).data).now);
    });
    for (const name of this.subscriptions.keys()) {
      source.addEventListener(name, (event) => {
        this.hear();
        this.subscriptions.get(name)?.receive(JSON.parse(/** @type {MessageEvent} */ (event).data));
      });
    }
    // An answer that is an error has the same name as the loss of the connection, and data.
    source.addEventListener('error', (event) => {
      if (event instanceof MessageEvent) {
        const { subscription, status, message } = JSON.parse(event.data);
        this.subscriptions.get(subscription)?.fail?.(new api.ApiError(status, message));
        return;
      }
      this.expectSoon();
      if (source.readyState !== EventSource.CLOSED) return;
      // It may not know any more who looks, or have as many streams as it takes: a stream does not say so.
      this.asking = new AbortController();
      api.get(path, this.asking.signal).catch((error) => {
        if (error instanceof api.ApiError) this.subscriptions.get('verdict')?.fail?.(error);
      });
      this.retryTimer = setTimeout(() => this.connect(), RETRY_MS);
    });
  }

  /**
   * Asks whether the collector is still there when the stream has been silent: nothing may have changed, or the
   * connection may be lost without anybody having said so. To be called every second.
   */
  async probe() {
    if (this.source === null || this.probing || performance.now() - this.heardAt < STALE_AFTER_MS) return;
    this.probing = true;
    try {
      /** @type {import('./answers.js').Verdict} */
      const { now } = await api.get('v1/verdict', AbortSignal.timeout(STALE_AFTER_MS / 2));
      this.hear(now);
    } catch {
      if (this.source !== null) {
        this.become('stale');
        this.connect();
      }
    } finally {
      this.probing = false;
    }
  }

  /** @param {number} [now] the collector's clock, in microseconds */
  hear(now) {
    if (now !== undefined) this.tell(now, performance.now());
    this.heard = this.now();
    this.heardAt = performance.now();
    this.expect();
    this.become('open');
  }

  /** @param {number} now the collector's clock, in microseconds @param {number} at ours, in ms */
  tell(now, at) {
    const before = this.now();
    const { told } = this;
    if (told?.now === now) {
      this.stands ||= at - told.at > STANDS_MS;
      return;
    }
    this.stands = false;
    this.offset = now - Date.now() * 1000;
    this.told = { now, at };
    // That of a capture may be years back; what was asked until then was about the wrong time.
    if (now < before - OTHER_TIME || (!told && now > before + OTHER_TIME)) this.onOtherTime();
  }

  /** Something has been heard, or nothing is waited for. */
  expect() {
    clearTimeout(this.staleTimer);
    this.staleTimer = undefined;
  }

  /** From now on it is stale, unless something is heard in time. */
  expectSoon() {
    this.staleTimer ??= setTimeout(() => this.become('stale'), STALE_AFTER_MS);
  }

  /** @param {StreamState} state */
  become(state) {
    if (state === 'stale') this.stands = false;
    if (this.state === state) return;
    this.state = state;
    this.onState(state);
  }
}
