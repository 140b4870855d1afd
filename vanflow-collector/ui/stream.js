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
/** Where a server has no stream, each path is fetched so often. */
const POLL_MS = 1000;

export class Stream {
  constructor() {
    /** @type {Map<string, Subscription>} */
    this.subscriptions = new Map();
    /** @type {EventSource | null} */
    this.source = null;
    /** @type {AbortController | null} */
    this.polling = null;
    /** Whether the server has no stream. */
    this.polls = false;
    /** @type {StreamState} */
    this.state = 'connecting';
    /** Of the collector's clock, when something was heard last; microseconds. */
    this.heard = 0;
    /** What the collector's clock is ahead of ours, in microseconds. */
    this.offset = 0;
    /** @type {((state: StreamState) => void)[]} */
    this.listeners = [];
    this.scheduled = false;
    this.probing = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.staleTimer = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.retryTimer = undefined;
    document.addEventListener('visibilitychange', () => this.schedule());
  }

  /** @param {(state: StreamState) => void} listener */
  onState(listener) {
    this.listeners.push(listener);
  }

  /** The collector's time, in microseconds. */
  now() {
    return Date.now() * 1000 + this.offset;
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
    if (this.polls) this.poll();
    else this.listen();
  }

  disconnect() {
    clearTimeout(this.staleTimer);
    this.staleTimer = undefined;
    clearTimeout(this.retryTimer);
    this.source?.close();
    this.source = null;
    this.polling?.abort();
    this.polling = null;
  }

  listen() {
    const query = new URLSearchParams();
    for (const [name, { path }] of this.subscriptions) query.set(name, path);
    const source = new EventSource(api.address(`api/v1/stream?${query}`));
    this.source = source;
    let greeted = false;
    source.addEventListener('hello', (event) => {
      greeted = true;
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
      if (!greeted && this.heard === 0) {
        // It answered, and with no stream: an older collector.
        this.polls = true;
        this.connect();
      } else {
        // It may not know any more who looks, which a stream does not say.
        void api.get('v2alpha1/user').catch(() => null);
        this.retryTimer = setTimeout(() => this.connect(), RETRY_MS);
      }
    });
  }

  /**
   * Asks whether the collector is still there when the stream has been silent: nothing may have changed, or the
   * connection may be lost without anybody having said so. To be called every second.
   */
  async probe() {
    if (this.source === null || this.probing || this.now() - this.heard < STALE_AFTER_MS * 1000) return;
    this.probing = true;
    try {
      const response = await fetch(api.address('healthz'), { signal: AbortSignal.timeout(STALE_AFTER_MS / 2), cache: 'no-store' });
      if (response.ok) this.hear();
    } catch {
      if (this.source !== null) {
        this.become('stale');
        this.connect();
      }
    } finally {
      this.probing = false;
    }
  }

  async poll() {
    const polling = new AbortController();
    this.polling = polling;
    /** @type {Map<string, string>} */
    const last = new Map();
    while (!polling.signal.aborted) {
      await Promise.all([...this.subscriptions].map(async ([name, { path, receive, fail }]) => {
        try {
          const answer = await api.get(path, polling.signal);
          if (polling.signal.aborted) return;
          this.hear();
          const text = JSON.stringify(answer);
          if (last.get(name) === text) return;
          last.set(name, text);
          receive(answer);
        } catch (error) {
          if (polling.signal.aborted) return;
          if (error instanceof api.ApiError && error.status !== 0) {
            this.hear();
            fail?.(error);
          } else if (error instanceof api.ApiError) this.expectSoon();
          else throw error;
        }
      }));
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** @param {number} [now] the collector's clock, in microseconds */
  hear(now) {
    if (now !== undefined) this.offset = now - Date.now() * 1000;
    this.heard = this.now();
    clearTimeout(this.staleTimer);
    this.staleTimer = undefined;
    this.become('open');
  }

  /** From now on it is stale, unless something is heard in time. */
  expectSoon() {
    this.staleTimer ??= setTimeout(() => this.become('stale'), STALE_AFTER_MS);
  }

  /** @param {StreamState} state */
  become(state) {
    if (this.state === state) return;
    this.state = state;
    for (const listener of this.listeners) listener(state);
  }
}
