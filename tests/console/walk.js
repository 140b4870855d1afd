// Makes each request of requests.json, as the console would write it, and says which answers the console could not use.
//
// requests.json has
// - subjects: who is asked about. Each is the answer to `get`, or the item of that list with what `where` says that has
//   the most of `most`. Later ones and requests name properties of earlier ones: {pair.sourceId}.
// - records: what an item must have: the type of each property, or the texts that it may be.
// - requests: those of each page. `get` is a path under the API, `chart` a query of a chart: over the last `window`
//   seconds, or of now. The rest is what must hold of the answer; see `judge` and `judgeChart`.

const API = "/api/v2alpha1/";

const TYPES = {
  text: (value) => typeof value === "string" && value !== "",
  "text*": (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  flag: (value) => typeof value === "boolean",
  texts: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
};

/** A request that the console could not go on from, and why. */
class Fault extends Error {}

function must(held, what) {
  if (!held) throw new Fault(what);
}

/** A query string the way the console's HTTP client writes it: it leaves some characters alone that others escape. */
function encode(text) {
  return encodeURIComponent(text)
    .replace(/%3A/g, ":")
    .replace(/%24/g, "$")
    .replace(/%2C/g, ",")
    .replace(/%20/g, "+")
    .replace(/%5B/g, "[")
    .replace(/%5D/g, "]");
}

/** A template with the properties of subjects that it names. */
function fill(template, subjects, written = String) {
  return template.replace(/\{(\w+)\.(\w+)\}/g, (_, name, property) => {
    const value = subjects[name]?.[property];
    must(value !== undefined && value !== null, `there is no ${name}.${property} to ask about`);
    return written(value);
  });
}

async function get(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  const text = await response.text();
  const json = response.headers.get("content-type") === "application/json";
  return { status: response.status, text, json: json ? JSON.parse(text) : undefined };
}

async function choose(subject, subjects) {
  const path = API + fill(subject.get, subjects, encode);
  const { status, json, text } = await get(path);
  must(status === 200, `${path} was answered with ${status}: ${text}`);
  if (!Array.isArray(json.results)) return json.results;
  const where = Object.entries(subject.where ?? {}).map(([property, value]) => [property, fill(value, subjects)]);
  const fitting = json.results.filter((item) => where.every(([property, value]) => item[property] === value));
  must(fitting.length > 0, `${path} has none with ${JSON.stringify(Object.fromEntries(where))}`);
  const most = subject.most;
  return most ? fitting.reduce((best, item) => (item[most] > best[most] ? item : best)) : fitting[0];
}

function judgeItem(item, types, name) {
  for (const [property, type] of Object.entries(types)) {
    const value = item[property];
    if (type.endsWith("?") && value === null) continue;
    const check = TYPES[type.replace("?", "")];
    const held = check ? check(value) : type.split("|").includes(value);
    must(held, `${property} of ${name} ${item.identity} is ${JSON.stringify(value)}, not ${type}`);
  }
}

/** Ascending order as lists have it: what is not known first, numbers and flags by value, texts by their characters. */
function inOrder(before, after) {
  return before === null || (after !== null && before <= after);
}

/** `one` and `list` name a record; a list has `atLeast` so many in all, and in `each` item what was asked for. */
function judge(request, url, { status, json, text }, records, subjects) {
  must(status === (request.status ?? 200), `it was answered with ${status}: ${text}`);
  if (request.status) return;
  must(json !== undefined, "the answer is not JSON");
  if (request.one) return judgeItem(json.results, records[request.one], request.one);

  const { results, count, timeRangeCount: total } = json;
  must(Array.isArray(results), "results is no list");
  must(count === results.length, `count is ${count} for ${results.length} results`);
  const asked = new URLSearchParams(url.split("?")[1]);
  const [offset, limit] = [Number(asked.get("offset") ?? 0), Number(asked.get("limit") ?? Infinity)];
  const page = Math.max(0, Math.min(limit, total - offset));
  must(count === page, `there are ${count} results, and should be ${page} of ${total}`);
  must(total >= request.atLeast, `there are ${total}, and should be ${request.atLeast} or more`);
  for (const item of results) {
    judgeItem(item, records[request.list], request.list);
    for (const [property, value] of Object.entries(request.each ?? {})) {
      const wanted = typeof value === "string" ? fill(value, subjects) : value;
      const got = item[property];
      // Filters on texts compare the beginning.
      const held = got === wanted || (typeof wanted === "string" && typeof got === "string" && got.startsWith(wanted));
      must(held, `${property} of ${request.list} ${item.identity} is ${got}, and ${wanted} was asked for`);
    }
  }
  const [order, direction] = asked.get("sortBy")?.split(".") ?? [];
  if (!order || Array.isArray(results[0]?.[order])) return;
  const column = results.map((item) => item[order]);
  if (direction === "desc") column.reverse();
  must(
    column.every((value, at) => at === 0 || inOrder(column[at - 1], value)),
    `${order} is not in order: ${column}`
  );
}

/**
 * A chart has `atLeast` so many series, one unless it says otherwise, with the labels `by` and no others; where it must
 * be `positive`, a value above 0. The console takes values for those of start + k * step, to the millisecond.
 */
function judgeChart(request, { status, json, text }, start, end, step) {
  must(status === 200 && json?.status === "success", `it was answered with ${status}: ${text}`);
  const kind = request.window ? "matrix" : "vector";
  must(json.data.resultType === kind, `it is a ${json.data.resultType} and should be a ${kind}`);
  const series = json.data.result;
  must(series.length >= (request.atLeast ?? 1), `there are ${series.length} series`);
  let positive = false;
  for (const { metric, value, values } of series) {
    const labels = Object.keys(metric).sort().join();
    must(labels === [...request.by].sort().join(), `a series has the labels ${labels}`);
    must(Object.values(metric).every(TYPES.text), `a label is empty: ${JSON.stringify(metric)}`);
    for (const [time, number] of values ?? [value]) {
      must(typeof number === "string", `a value is ${typeof number}`);
      positive ||= Number(number) > 0;
      const steps = (time - start) / step;
      const held = kind === "vector" || (Math.abs(steps - Math.round(steps)) < 0.001 / step && time <= end + 0.001);
      must(held, `a value is of ${time}, which is no time from ${start} to ${end} in steps of ${step} s`);
    }
  }
  must(positive || !request.positive, "no value is above 0");
}

async function makeChart(request, subjects) {
  const query = encode(fill(request.chart, subjects));
  const { window } = request;
  if (!window) {
    const url = `${API}internal/prom/query/?query=${query}`;
    return { url, judgement: get(url).then((answer) => judgeChart(request, answer)) };
  }
  const now = Date.now();
  const [start, end] = [(now - window * 1000) / 1000, now / 1000];
  const step = Math.ceil(window / 240);
  const url = `${API}internal/prom/rangequery/?query=${query}&start=${start}&end=${end}&step=${step}s`;
  return { url, judgement: get(url).then((answer) => judgeChart(request, answer, start, end, step)) };
}

async function make(request, records, subjects) {
  if (request.chart) return makeChart(request, subjects);
  const url = API + fill(request.get, subjects, encode);
  return { url, judgement: get(url).then((answer) => judge(request, url, answer, records, subjects)) };
}

/** A request with `orders` is one for each of them, up and down. */
function each(request) {
  if (!request.orders) return [request];
  const orders = request.orders.flatMap((order) => [`${order}.asc`, `${order}.desc`]);
  return orders.map((order) => ({ ...request, get: request.get.replace("{order}", order) }));
}

async function walk() {
  const { subjects: chosen, records, requests } = await (await fetch("requests.json")).json();
  const subjects = {};
  for (const subject of chosen) subjects[subject.name] = await choose(subject, subjects);
  const faults = [];
  const all = requests.flatMap(each);
  for (const request of all) {
    let url = request.get ?? request.chart;
    try {
      const made = await make(request, records, subjects);
      url = made.url;
      await made.judgement;
    } catch (error) {
      faults.push(`${request.page}: ${url}\n    ${error instanceof Fault ? error.message : error.stack}`);
    }
  }
  const about = Object.entries(subjects).map(([name, { name: itself, identity }]) => `${name} ${itself ?? identity}`);
  return { made: all.length, faults, about };
}

const report = document.getElementById("report");
walk().then(
  ({ made, faults, about }) => {
    report.textContent = [
      ...faults,
      `asked about: ${about.join(", ")}`,
      `${made} requests of the console, ${faults.length} of them with an answer that it could not use`,
    ].join("\n");
    report.dataset.outcome = faults.length ? "faults" : "good";
  },
  (error) => {
    report.textContent = `the walk could not begin: ${error.message}`;
    report.dataset.outcome = "faults";
  }
);
