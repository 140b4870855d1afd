//! From a request to a response.

mod keepers;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL,
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;
use vanflow_history::{History, QueryKind, RestoreError, rows::Rows};
use vanflow_proto::{RecordKind, Timestamp};
use vanflow_store::{Revision, Snapshot};

use crate::{
    body::{Body, NotGathered},
    charts,
    error::ApiError,
    index,
    interest::RowsWhileAwaited,
    metrics::{CountersError, Fed, Health, HistoryKept, Metrics, Scrapes, TurnedAway},
    negotiate::{self, EVENTS, JSON, compressed, entity_tag, unless_known, unless_known_as},
    network::Network,
    openapi,
    options::{ApiOptions, Cors},
    pace::WatchFormat,
    params::Params,
    query::media::Media,
    response::{moved, options, part, ready, refusal, rendered, watched, whole},
    route::{self, Endpoint, Route},
    user::{self, User},
    v1::{self, Feeds, Freshness, PlacesError, Refusal, events::Events},
    v1alpha1::{self, Collection, Frame, List, Query, Selection, Watch},
    v2alpha1::{self, Before, Derivations, MOST_ROWS, Scope, Whose},
    watches::Watches,
};

/// Answers requests about a network.
///
/// Cloning is cheap, and all clones are the same API.
#[derive(Clone)]
pub struct Api {
    shared: Arc<Shared>,
}

struct Shared {
    network: Network,
    whose: Whose,
    derivations: Derivations,
    feeds: Feeds,
    maps: v1::Maps,
    cors: Cors,
    instance: Arc<str>,
    console: bool,
    document: Bytes,
    whole_document: Bytes,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    scrapes: Arc<Scrapes>,
    hasher: RandomState,
    events: Events,
    history: Option<RwLock<Remembered>>,
    rows: Option<Arc<dyn Rows>>,
    most_rows: usize,
    watches: Arc<Watches>,
}

/// What was measured, and when last, in milliseconds since the epoch.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) history: History,
    fed: Fed,
    pub(crate) latest: i64,
    /// What the history may take, in octets.
    limit: usize,
}

const YAML: &str = "application/yaml";
const HTML: &str = "text/html; charset=utf-8";

/// What a query of a chart has beside its query string.
#[derive(Clone, Copy, Debug, Default)]
struct ChartRequest<'r> {
    /// What was posted.
    form: &'r [u8],
    /// What the answer is to warn of.
    warning: Option<&'r str>,
}

impl Api {
    /// An API about that network.
    pub fn new(network: Network, options: ApiOptions) -> Self {
        let instance = options.instance.unwrap_or_else(|| {
            // The keys of a hasher are random: as good a draw as any, without a clock.
            format!("{:012x}", RandomState::new().hash_one("instance") >> 16)
        });
        if let Some(rows) = &options.rows {
            options.health.holds(Arc::clone(rows));
        }
        let metrics = Metrics::new(network.clone(), options.metrics, Arc::clone(&options.health));
        let metrics = Arc::new(metrics);
        let gathering = Arc::clone(&metrics);
        let scrapes = Scrapes::new(move |format| Box::new(gathering.gather().expose_as(format)));
        let events = Events::new(network.clone(), options.events);
        if let Some(rows) = &options.rows {
            events.recall(&**rows);
        }
        let shared = Shared {
            network,
            whose: Whose::new(options.network.map(Into::into)),
            derivations: Derivations::default(),
            feeds: Feeds::default(),
            maps: v1::Maps::default(),
            cors: options.cors,
            console: options.console,
            instance: instance.into(),
            document: v1alpha1::document().into(),
            whole_document: openapi::document().into(),
            health: options.health,
            metrics,
            scrapes,
            hasher: RandomState::new(),
            events,
            rows: options.rows.map(|rows| Arc::new(RowsWhileAwaited(rows)) as Arc<dyn Rows>),
            most_rows: options.most_rows.unwrap_or(MOST_ROWS),
            watches: Watches::new(options.watches),
            history: options.history.map(|options| {
                let limit = options.memory;
                let (history, fed) = (History::new(options), Fed::default());
                RwLock::new(Remembered { history, fed, latest: 0, limit })
            }),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Answers a request. Whatever body it has is of no interest, but for a query of a chart that is posted: see
    /// [`Api::respond_to_form`].
    ///
    /// The response is there at once; a long body is rendered while it is sent. Bodies of watches use the timers of
    /// tokio's runtime.
    pub fn respond(&self, request: &Parts) -> Response<Body> {
        self.answer(request, ChartRequest::default(), |_| true)
    }

    /// Answers a request with that body. Only queries of charts, as [`chart`] knows them, have one: a form.
    pub fn respond_to_form(&self, request: &Parts, form: &[u8]) -> Response<Body> {
        self.answer(request, ChartRequest { form, warning: None }, |_| true)
    }

    /// The same, with a warning in the answer: of a query of a chart, that somebody else should have answered it.
    pub fn respond_with_warning(&self, request: &Parts, form: &[u8], warning: &str) -> Response<Body> {
        self.answer(request, ChartRequest { form, warning: Some(warning) }, |_| true)
    }

    /// The answer to a request whose own did not begin within that time, from whoever waits no longer for it.
    pub fn late(&self, request: &Parts, within: Duration) -> Response<Body> {
        let path = request.uri.path();
        let is_coded = is_of(path, "v1") || is_of(path, "v2alpha1");
        let mut response = refusal(&ApiError::Late { within }, is_coded);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.allow_origins(request, response.headers_mut());
        self.shared
            .health
            .asked(route::find(path).map_or("none", |(route, _)| route.path), response.status());
        response
    }

    /// What counts for its metrics what happens outside of it.
    pub fn health(&self) -> &Health {
        &self.shared.health
    }

    /// Whether it keeps a history of its metrics, and so can answer queries of charts.
    pub fn has_history(&self) -> bool {
        self.shared.history.is_some()
    }

    /// The same, but for `/metrics`, `/healthz` and `/readyz` alone: for those who watch over the collector and should
    /// not ask it anything else.
    pub fn respond_to_monitors(&self, request: &Parts) -> Response<Body> {
        self.answer(request, ChartRequest::default(), route::is_for_monitors)
    }

    /// Takes note of what happened on the network since the last time, for `/metrics` and for the events. Has to be called
    /// every few seconds: what was gone from the store before anybody looked is not counted.
    pub fn observe(&self) {
        self.observe_events();
        self.shared.metrics.observe();
    }

    /// The same for the events alone, which costs little: they are there as soon after what happened as this is called.
    pub fn observe_events(&self) {
        self.shared.events.observe();
    }

    /// Keeps what is measured as it is at that time, for charts. Has to be called as often as
    /// [`ApiOptions::history`] says; takes as long as there is to keep, tenths of a second where it is very much.
    pub fn remember(&self, at: Timestamp) {
        let Some(remembered) = &self.shared.history else { return };
        let gathered = self.shared.metrics.gather();
        let at = i64::try_from(at.as_micros() / 1000).unwrap_or(i64::MAX);
        let mut remembered = remembered.write().unwrap_or_else(PoisonError::into_inner);
        let Remembered { history, fed, .. } = &mut *remembered;
        let mut scrape = history.scrape(at);
        gathered.feed(&mut scrape, fed);
        scrape.finish();
        remembered.latest = remembered.latest.max(at);
        let Remembered { history, limit, latest, .. } = &*remembered;
        let (stats, oldest) = (history.stats(), history.oldest_ms());
        let kept = HistoryKept { stats, oldest, latest: Some(*latest), limit: *limit };
        self.shared.health.remembered(kept);
    }

    /// What counters of the network in `/metrics` come to, for [`Api::restore_counters`] of the next process: they are to be
    /// taken when nothing comes any more.
    pub fn save_counters(&self) -> Vec<u8> {
        self.shared.metrics.save()
    }

    /// Has counters of the network go on from what a former process counted, before anybody is answered.
    ///
    /// # Errors
    ///
    /// Where that is not what one kept; then they begin anew.
    pub fn restore_counters(&self, octets: &[u8]) -> Result<(), CountersError> {
        self.shared.metrics.restore(octets)
    }

    /// All that charts are drawn from, in octets that [`Api::restore_charts`] takes; none where nothing is kept.
    pub fn save_charts(&self) -> Option<Vec<u8>> {
        let remembered = self.shared.history.as_ref()?.read().unwrap_or_else(PoisonError::into_inner);
        Some(remembered.history.save())
    }

    /// Takes back what charts were drawn from, in place of all that was remembered so far. Answers whether charts are kept.
    ///
    /// # Errors
    ///
    /// Where that is none, or not all of one.
    pub fn restore_charts(&self, octets: &[u8]) -> Result<bool, RestoreError> {
        let Some(remembered) = &self.shared.history else { return Ok(false) };
        let options = remembered.read().unwrap_or_else(PoisonError::into_inner).history.options().clone();
        let history = History::restore(options, octets)?;
        let mut remembered = remembered.write().unwrap_or_else(PoisonError::into_inner);
        remembered.latest = history.latest_ms().unwrap_or(0);
        (remembered.history, remembered.fed) = (history, Fed::default());
        Ok(true)
    }

    /// Where everything lies on the map, in octets that [`Api::restore_places`] takes.
    pub fn save_places(&self) -> Vec<u8> {
        self.shared.maps.save_places()
    }

    /// Has everything on the map lie where it did, in place of all that was drawn so far.
    ///
    /// # Errors
    ///
    /// Where that is not what was saved; then places follow from what there is.
    pub fn restore_places(&self, octets: &[u8]) -> Result<(), PlacesError> {
        self.shared.maps.restore_places(octets)
    }

    fn answer(
        &self,
        request: &Parts,
        query: ChartRequest<'_>,
        is_served: impl Fn(&Route) -> bool,
    ) -> Response<Body> {
        let begun = Instant::now();
        let is_coded = is_of(request.uri.path(), "v1") || is_of(request.uri.path(), "v2alpha1");
        let found = route::find(request.uri.path()).filter(|(route, _)| is_served(route));
        let mut response = self
            .dispatch(request, query, found, &is_served)
            .and_then(|response| self.counted(request, response))
            .unwrap_or_else(|error| refusal(&error, is_coded));
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        self.allow_origins(request, headers);
        let route = found.map_or("none", |(route, _)| route.path);
        self.shared.health.asked(route, response.status());
        let is_head = request.method == Method::HEAD;
        let health = Arc::clone(&self.shared.health);
        response.map(|body| {
            let body = if is_head { Body::empty() } else { body };
            body.metered(health, route, begun.elapsed())
        })
    }

    /// A watch that is begun, if there are not too many; anything else as it is.
    fn counted(&self, request: &Parts, response: Response<Body>) -> Result<Response<Body>, ApiError> {
        if !response.body().is_watch() {
            return Ok(response);
        }
        let watching = self.shared.watches.begin(request.extensions.get().copied()).inspect_err(|_| {
            self.shared.health.turned_away(TurnedAway::Watches);
        })?;
        Ok(response.map(|body| body.counted(watching)))
    }

    fn dispatch(
        &self,
        request: &Parts,
        query: ChartRequest<'_>,
        found: Option<(&'static Route, Option<&str>)>,
        is_served: &dyn Fn(&Route) -> bool,
    ) -> Result<Response<Body>, ApiError> {
        let path = request.uri.path();
        let chart = found.and_then(route::chart_of);
        if (chart.is_none() || path.contains("//"))
            && let Some(clean) = cleaned(path)
        {
            return Ok(moved(&clean, request.uri.query()));
        }
        let (route, id) = found.ok_or_else(|| {
            let path = crate::error::excerpt(path);
            ApiError::NotFound { path, known: route::known(is_served) }
        })?;
        if request.method == Method::OPTIONS && self.shared.cors != Cors::SameOrigin {
            return Ok(options(request));
        }
        if let Some(chart) = chart {
            return Ok(self.asked_by_chart(request, chart, query));
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(ApiError::MethodNotAllowed { method: request.method.clone() });
        }
        match route.endpoint {
            Endpoint::Index => {
                let root = if path.ends_with('/') { "../" } else { "" };
                let status = self.shared.network.status().borrow().clone();
                let page = index::page(&status, &self.snapshot(), root);
                let mut response = whole(StatusCode::OK, HTML, page);
                response.headers_mut().insert(
                    CONTENT_SECURITY_POLICY,
                    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
                );
                Ok(response)
            }
            Endpoint::Alive => {
                Ok(whole(StatusCode::OK, JSON, Bytes::from_static(b"{\"status\":\"alive\"}\n")))
            }
            Endpoint::Ready => {
                let missing = never_reported(&self.shared.network.snapshot());
                Ok(ready(&self.shared.network.status().borrow(), missing))
            }
            Endpoint::Metrics => {
                let format = negotiate::exposition_format(&request.headers);
                let mut response = Response::new(Body::scraped(self.shared.scrapes.reader(format)));
                let content_type = HeaderValue::from_static(format.content_type());
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                Ok(compressed(&request.headers, response))
            }
            Endpoint::OpenApi => Ok(whole(StatusCode::OK, JSON, self.shared.document.clone())),
            Endpoint::V1alpha1(collection) => self.list(request, route, collection),
            Endpoint::V1(v1::Resource::Stream) => self.stream(request),
            Endpoint::V1(resource) => self.own(request, route, resource),
            Endpoint::WholeOpenApi => Ok(whole(StatusCode::OK, JSON, self.shared.whole_document.clone())),
            Endpoint::List(collection) => {
                self.v2_list(request, route, collection, self.snapshot(), Scope::All)
            }
            Endpoint::Single(collection) => {
                let (id, snapshot) = (decoded(id), self.snapshot());
                let rows = self.shared.rows.as_deref();
                let json = v2alpha1::single(&snapshot, &self.shared.derivations, rows, collection, &id)
                    .map_err(ApiError::History)?
                    .ok_or_else(|| ApiError::NoSuch {
                        what: collection.schema().name,
                        id: crate::error::excerpt(&id),
                    })?;
                let media = chosen_media(request, route, &[Media::Json])?;
                let tag = entity_tag(&self.shared.instance, &snapshot, None, None, media);
                Ok(unless_known(&request.headers, tag, media, || Body::whole(json.bytes)))
            }
            Endpoint::OfSite(collection) => {
                let (id, snapshot) = (decoded(id), self.snapshot());
                let site = v2alpha1::site_with_id(&snapshot, &id).map(Scope::Site);
                let missing = || ApiError::NoSuch { what: "Site", id: crate::error::excerpt(&id) };
                let scope = site.ok_or_else(missing)?;
                self.v2_list(request, route, collection, snapshot, scope)
            }
            Endpoint::OfService(collection) => {
                let (id, snapshot) = (decoded(id), self.snapshot());
                let service = v2alpha1::service_with_id(&snapshot, &id).map(Scope::Service);
                let missing = || ApiError::NoSuch { what: "Service", id: crate::error::excerpt(&id) };
                let scope = service.ok_or_else(missing)?;
                self.v2_list(request, route, collection, snapshot, scope)
            }
            Endpoint::Gone => Err(ApiError::NoHosts),
            Endpoint::User | Endpoint::Logout
                if !self.shared.console && request.extensions.get::<User>().is_none() =>
            {
                Err(ApiError::NoConsole { path: route.path })
            }
            Endpoint::User => Ok(user::user(&request.headers, request.extensions.get())
                .map_or_else(user::nobody, |json| whole(StatusCode::OK, JSON, json.bytes))),
            Endpoint::Logout => Ok(user::logout(&request.headers, &request.uri)),
            Endpoint::Chart(_) => unreachable!("charts were answered before methods were looked at"),
            Endpoint::Metadata => {
                let (status, json) = charts::metadata(request.uri.query(), self.shared.metrics.described());
                Ok(compressed(&request.headers, rendered(status, json)))
            }
            Endpoint::BuildInfo => Ok(whole(StatusCode::OK, JSON, charts::build_info())),
            Endpoint::Yaml => Ok(whole(StatusCode::OK, YAML, self.shared.whole_document.clone())),
            Endpoint::Swagger(asset) => Ok(part(request, asset)),
        }
    }

    /// Answers that a client subscribes to.
    fn stream(&self, request: &Parts) -> Result<Response<Body>, ApiError> {
        let network = self.shared.network.clone();
        let stream = v1::Stream::new(self.clone(), network, &self.shared.feeds, request.uri.query())?;
        // As of watches: no body, no timers.
        let body = match request.method {
            Method::HEAD => Body::empty(),
            _ => Body::streamed(stream.into_pieces()),
        };
        Ok(watched(body, WatchFormat::Events))
    }

    /// What answers depend on beside the question.
    pub(crate) fn version(&self) -> v1::Version {
        let (snapshot, status) = (self.snapshot(), self.shared.network.status());
        let history = self.shared.health.figures().history.and_then(|kept| kept.latest).unwrap_or(0);
        let status = self.shared.hasher.hash_one(&*status.borrow());
        let (revision, evicted) = (snapshot.revision(), snapshot.evicted());
        v1::Version::new(revision, evicted, snapshot.now().as_micros(), history, status)
    }

    pub(crate) fn instance(&self) -> &str {
        &self.shared.instance
    }

    /// The whole answer in JSON to what a stream is subscribed to: a path below `/api/`, with a query.
    ///
    /// # Errors
    ///
    /// Where a client that asks it by itself would be refused, and where the answer is too long to be sent again and again.
    pub(crate) async fn answer_of(&self, target: &str) -> Result<Vec<u8>, Refusal> {
        let refused = |status, message: &str| Refusal { status, message: message.to_owned() };
        let unread =
            |error: http::Error| refused(StatusCode::BAD_REQUEST, &format!("it is no path: {error}"));
        let (request, ()) =
            http::Request::get(format!("/api/{target}")).body(()).map_err(unread)?.into_parts();
        let found = route::find(request.uri.path());
        if !found.is_none_or(|(route, _)| can_be_subscribed_to(route.endpoint)) {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                "it is no list or document that can be subscribed to",
            ));
        }
        let answer = self.dispatch(&request, ChartRequest::default(), found, &|_| true);
        let response =
            answer.map_err(|error| Refusal { status: error.status(), message: error.to_string() })?;
        let status = response.status();
        let gathered = response.into_body().gathered(v1::LONGEST_ANSWER).await;
        match gathered {
            Err(NotGathered::Endless) => {
                Err(refused(StatusCode::BAD_REQUEST, "it is a watch: subscribe to the list without `watch`"))
            }
            Err(NotGathered::TooLong) => Err(refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                "its answer has more than 4 MiB: ask for less of it, with `limit` or `fields`",
            )),
            Ok(body) if status.is_success() => Ok(body),
            // What Prometheus would say; a path that moved has no body.
            Ok(body) => {
                let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                Err(refused(status, json["error"].as_str().unwrap_or("there is no answer at this path")))
            }
        }
    }

    /// A resource of this collector's own API.
    fn own(
        &self,
        request: &Parts,
        route: &'static Route,
        resource: v1::Resource,
    ) -> Result<Response<Body>, ApiError> {
        let media = chosen_media(request, route, resource.forms())?;
        let question = v1::Question {
            params: Params::parse(request.uri.query(), route.path, route.parameters, &resource.filters())?,
            snapshot: self.snapshot(),
            network: &self.shared.network,
            derivations: &self.shared.derivations,
            health: &self.shared.health,
            rows: self.shared.rows.as_deref(),
            events: &self.shared.events,
            maps: &self.shared.maps,
            history: self.shared.history.as_ref().filter(|_| resource.needs_history()),
            detail: self.shared.metrics.detail(),
            media,
        };
        let answer = v1::answer(resource, &question)?;
        let body = || Body::whole((answer.render)().bytes);
        Ok(match answer.freshness {
            Freshness::Moment => {
                let mut response = Response::new(body());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
                compressed(&request.headers, response)
            }
            Freshness::Revision(moment) => {
                let (snapshot, query) = (&question.snapshot, request.uri.query());
                let tag = entity_tag(&self.shared.instance, snapshot, moment, query, media);
                unless_known_as(&request.headers, tag, answer.content_type, body)
            }
            Freshness::Own(revision, moment) => {
                let (instance, query) = (&self.shared.instance, request.uri.query());
                let tag = negotiate::own_tag(instance, revision, moment, query, question.media);
                unless_known_as(&request.headers, tag, answer.content_type, body)
            }
        })
    }

    fn snapshot(&self) -> Snapshot {
        self.shared.network.snapshot()
    }

    fn asked_by_chart(
        &self,
        request: &Parts,
        kind: QueryKind<'_>,
        query: ChartRequest<'_>,
    ) -> Response<Body> {
        let remembered = self.shared.history.as_ref();
        let remembered = remembered.map(|history| history.read().unwrap_or_else(PoisonError::into_inner));
        let history = remembered.as_deref().map(|remembered| (&remembered.history, remembered.latest));
        if !kind.takes(&request.method) {
            let (status, json, allowed) = charts::refused(kind, &request.method);
            let mut response = whole(status, JSON, json);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return response;
        }
        let form = if request.method == Method::POST { query.form } else { &[] };
        let (status, mut json) = charts::answer(kind, request.uri.query(), form, history);
        if let Some(warning) = query.warning.filter(|_| status.is_success()) {
            vanflow_history::add_warning(&mut json, warning);
        }
        compressed(&request.headers, rendered(status, json))
    }

    fn v2_list(
        &self,
        request: &Parts,
        route: &'static Route,
        collection: v2alpha1::Collection,
        snapshot: Snapshot,
        scope: Scope,
    ) -> Result<Response<Body>, ApiError> {
        let query = v2alpha1::Query::new(collection, request.uri.query(), snapshot.now())?;
        let takes_events = negotiate::accepts_events(&request.headers) && query.grouping.is_none();
        if query.watch.unwrap_or(takes_events) {
            if !takes_events {
                chosen_media(request, route, &FOLLOWED)?;
            }
            let format = if takes_events { WatchFormat::Events } else { WatchFormat::Lines };
            // As in the original API: no body, no timers.
            let body = if request.method == Method::HEAD {
                Body::empty()
            } else {
                let (network, derivations) = (self.shared.network.clone(), self.shared.derivations.clone());
                let resume = match format {
                    WatchFormat::Events => self.resume(&request.headers),
                    WatchFormat::Lines => None,
                };
                let instance = Arc::clone(&self.shared.instance);
                let watch = v2alpha1::Watch::new(
                    (network, derivations),
                    Arc::new(query),
                    scope,
                    format,
                    instance,
                    resume,
                );
                Body::streamed(watch.into_stream())
            };
            return Ok(compressed(&request.headers, watched(body, format)));
        }
        let (media, derivations) =
            (chosen_media(request, route, &Media::ALL)?, self.shared.derivations.clone());
        // The window of a list moves with the time: what was in it can leave it though nothing changes.
        let most = self.shared.most_rows;
        let before = self.shared.rows.as_ref().and_then(|rows| Before::new(&**rows, &query, &snapshot, most));
        // Rows of a history come and go without a revision of their own.
        let moment = before.map(|_| snapshot.now().as_micros()).or_else(|| query.moment(&snapshot));
        let tag = entity_tag(&self.shared.instance, &snapshot, moment, request.uri.query(), media);
        let query = Arc::new(query);
        let mut list = v2alpha1::List::new(snapshot, derivations, Arc::clone(&query), scope, media);
        if let Some(after) = &query.after {
            list = list.after(self.shared.rows.as_deref(), before, after)?;
        } else if let Some(before) = before {
            list = list.looking_back(before)?;
        }
        let answered = list.answered();
        let mut response = unless_known(&request.headers, tag, media, || Body::rendered(list));
        for (_, header, time) in answered.named() {
            response.headers_mut().insert(HeaderName::from_static(header), HeaderValue::from(time));
        }
        Ok(response)
    }

    fn list(
        &self,
        request: &Parts,
        route: &'static Route,
        collection: Collection,
    ) -> Result<Response<Body>, ApiError> {
        let filters = v1alpha1::filters(collection, route.parameters);
        let params = Params::parse(request.uri.query(), route.path, route.parameters, &filters)?;
        let query = Arc::new(Query::new(collection, &params)?);
        let takes_events = negotiate::accepts_events(&request.headers);
        let is_watch = query.watch.unwrap_or(takes_events);
        if is_watch {
            if !takes_events {
                chosen_media(request, route, &FOLLOWED)?;
            }
            let format = if takes_events { WatchFormat::Events } else { WatchFormat::Lines };
            return Ok(compressed(&request.headers, self.watch(request, query, format)));
        }
        let (snapshot, media) = (self.snapshot(), chosen_media(request, route, &Media::ALL)?);
        // Durations of live records grow without a change of anything: an answer that has some is as good as new for
        // ten seconds.
        let has_durations = !matches!(
            query.selection,
            Selection::VanAddrs | Selection::Addresses | Selection::Records { .. }
        );
        let time = has_durations.then(|| snapshot.now().as_micros() / DURATIONS_HOLD_MICROS);
        let tag = entity_tag(&self.shared.instance, &snapshot, time, request.uri.query(), media);
        let list = || Body::rendered(List::new(snapshot, query, Frame::of(media), media));
        Ok(unless_known(&request.headers, tag, media, list))
    }

    fn watch(&self, request: &Parts, query: Arc<Query>, format: WatchFormat) -> Response<Body> {
        let resume = match format {
            WatchFormat::Events => self.resume(&request.headers),
            WatchFormat::Lines => None,
        };
        // The body of an answer to HEAD is not wanted, and timers may have no runtime.
        let body = if request.method == Method::HEAD {
            Body::empty()
        } else {
            let network = self.shared.network.clone();
            let watch = Watch::new(network, query, format, Arc::clone(&self.shared.instance), resume);
            Body::streamed(watch.into_stream())
        };
        watched(body, format)
    }

    /// The revision that a client of events has seen, if it is one of this store.
    fn resume(&self, headers: &HeaderMap) -> Option<Revision> {
        let id = headers.get(LAST_EVENT_ID)?.to_str().ok()?;
        let (instance, revision) = id.rsplit_once('-')?;
        let revision = (*instance == *self.shared.instance).then(|| revision.parse().ok()).flatten()?;
        (revision <= self.shared.network.read().revision()).then_some(revision)
    }

    /// Adds to an answer what reports a browser whose pages may read it. The API's own answers have it.
    pub fn allow_origins(&self, request: &Parts, headers: &mut HeaderMap) {
        let allowed = match &self.shared.cors {
            Cors::SameOrigin => return,
            Cors::Any => Some(HeaderValue::from_static("*")),
            Cors::Origins(origins) => {
                headers.append(VARY, HeaderValue::from_static("Origin"));
                let origin = request.headers.get(ORIGIN);
                let is_allowed = |origin: &&HeaderValue| origins.iter().any(|known| *origin == known);
                origin.filter(is_allowed).cloned()
            }
        };
        if let Some(allowed) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { cors, instance, .. } = &*self.shared;
        f.debug_struct("Api").field("instance", instance).field("cors", cors).finish_non_exhaustive()
    }
}

/// Headers that pages of other origins may read.
const EXPOSED: &str = "ETag, Vanflow-Answered-From, Vanflow-Answered-Until";
const DURATIONS_HOLD_MICROS: u64 = 10_000_000;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What to do with a path: whether it is this API's, rather than that of a file of a console.
pub fn is_ours(path: &str) -> bool {
    route::is_ours(path)
}

/// The query that a path is for, if it is for one of a chart.
pub fn chart(path: &str) -> Option<QueryKind<'_>> {
    route::chart(path)
}

/// Whether a path is one of that API, however many slashes are in it.
fn is_of(path: &str, api: &str) -> bool {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    names.next() == Some("api") && names.next() == Some(api)
}

/// The path without slashes that lead nowhere, where the network observer would send its clients there.
fn cleaned(path: &str) -> Option<String> {
    if !is_of(path, "v2alpha1") {
        return None;
    }
    let names: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
    let clean = format!("/{}", names.join("/"));
    (clean != path).then_some(clean)
}

/// Whether answers there are JSON that can be sent again whenever it changes.
fn can_be_subscribed_to(endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::V1(resource) => resource != v1::Resource::Stream,
        Endpoint::List(_) | Endpoint::Single(_) | Endpoint::OfSite(_) | Endpoint::OfService(_) => true,
        Endpoint::Chart(kind) => matches!(kind, QueryKind::Instant | QueryKind::Range),
        _ => false,
    }
}

/// The forms that a watch has, without server-sent events.
const FOLLOWED: [Media; 2] = [Media::Lines, Media::Json];

/// The form that a client prefers.
fn chosen_media(request: &Parts, route: &'static Route, known: &[Media]) -> Result<Media, ApiError> {
    negotiate::media(&request.headers, known).ok_or_else(|| {
        let mut names: Vec<_> = known.iter().map(|media| media.name()).collect();
        if known.contains(&Media::Lines) {
            names.push(EVENTS);
        }
        let accept = crate::error::excerpt(&negotiate::accepted(&request.headers));
        ApiError::NotAcceptable { path: route.path, accept, known: names.join(", ") }
    })
}

/// The identity in a path. A plus sign in it is one.
fn decoded(id: Option<&str>) -> String {
    percent_decode_str(id.unwrap_or_default()).decode_utf8_lossy().into_owned()
}

/// How many connections routers counted at listeners that are there, and never reported (faults 33).
pub(crate) fn never_reported(snapshot: &Snapshot) -> u64 {
    let listeners = snapshot.live_of_kind(RecordKind::Listener);
    listeners.filter_map(|listener| listener.connections_never_reported()).sum()
}
