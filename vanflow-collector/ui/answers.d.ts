// The shapes of what /api/v1 answers, as far as the page reads them. Times are µs since the epoch; what is not known is
// left out. Declarations only: nothing of this file is served.
import type { Severity } from './dom.js';

export interface Subject {
  type: 'site' | 'router' | 'link' | 'listener' | 'connector' | 'service' | 'component' | 'process' | 'source' | 'collector';
  id: string;
  name: string;
}

export interface Finding {
  severity: Severity;
  about: 'network' | 'collector';
  kind: string;
  subject?: Subject;
  text: string;
  detail?: string;
  since?: number;
}

export interface Known {
  kind: string;
  severity: Severity;
  text: string;
  detail?: string;
  value?: number;
  of?: number;
  unit?: string;
}

export interface Verdict {
  complete: boolean;
  state: 'complete' | 'incomplete' | 'waiting' | 'detached';
  text: string;
  attached: boolean;
  detail?: string;
  now: number;
  since?: number;
  sources: { total: number; complete: number; incomplete: number; lost: number; routers: number; controllers: number };
  counts: {
    sites: number; routers: number; links: number; services: number; components: number; processes: number;
    listeners: number; connectors: number; openConnections: number; connections: number; requests: number;
  };
  findings: Finding[];
  known: Known[];
  memory?: {
    records?: number; recordsLimit?: number; history?: number; historyLimit?: number; historySeries?: number;
    historySince?: number; retention?: number;
  };
  ended?: { kind: string; rows: number; octets: number; since?: number }[];
}

export type Windows = Partial<Record<'10s' | '1m' | '5m', number>>;

export interface MapArea {
  id: string; name: string; platform?: string; provider?: string; version?: string; open: boolean;
  x: number; y: number; width: number; height: number; nodes: number; processes: number; severity: Severity; text?: string;
}

export interface MapNode {
  id: string; kind: 'site' | 'component' | 'process' | 'remote' | 'more'; name: string; area: string;
  x: number; y: number; width: number; height: number; processes?: number; octetRate?: Windows; severity: Severity; text?: string;
}

export interface MapRouter { id: string; name: string; area: string; x: number; y: number; mode: 'interior' | 'edge'; up: boolean }

export interface MapLink {
  id: string; name: string; source: string; destination: string; up: boolean; cost?: number; downCount?: number;
  octetRate?: Windows; tls?: boolean; severity: Severity; text?: string;
}

export interface MapEdge {
  id: string; source: string; destination: string; octetRate?: Windows; sentRate?: Windows; receivedRate?: Windows;
  connectionRate?: Windows; requestRate?: Windows; openConnections?: number; units?: number; errors?: number;
  errorShare?: number; latencyP50?: number; latencyP95?: number; services?: string[]; severity: Severity; text?: string;
}

export interface NetworkMap {
  level: 'site' | 'component' | 'process'; time: number; width: number; height: number; windows: string[];
  areas: MapArea[]; nodes: MapNode[]; routers: MapRouter[]; links: MapLink[]; edges: MapEdge[];
  unplaced: { subject: Subject; severity: Severity; text: string }[]; folded?: number;
}

export interface NetworkEvent {
  identity: string; number: number; time: number; endTime?: number; kind: string; severity: Severity; subject?: Subject;
  siteId?: string; siteName?: string; text: string; detail?: string; count?: number;
}

export interface Page<R> { results: R[]; count: number; totalCount?: number; timeRangeCount?: number }

/** Who looks; null where nobody is asked, for only their own machine reaches the collector. */
export interface User {
  username: string;
  authType: 'openshift' | 'none' | 'basic' | 'token' | 'session' | 'certificate' | 'proxy';
}
