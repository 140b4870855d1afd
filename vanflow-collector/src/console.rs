//! The files of a console build, such as the Skupper Console's.
//!
//! They are read from a directory for each request, so a build can be replaced under a running collector. Links in the
//! directory are followed where they lead to a file within it, as those of volumes of Kubernetes do. No path and no link
//! leads out of it; names that begin with a dot are nobody's business, and what is no file is none.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS,
    },
    request::Parts,
};
use http_body_util::{BodyExt, Empty};
use percent_encoding::percent_decode_str;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tower_http::{compression::Compression, services::ServeDir};
use tower_service::Service;
use tracing::warn;

use crate::answer::{Body, empty, whole};

/// A directory that holds no console.
#[derive(Debug, Error)]
pub enum ConsoleError {
    /// The page that everything starts with is not there.
    #[error(
        "there is no console in {directory}: it should hold the index.html of a console build, but {file}: {error}"
    )]
    NoIndex {
        /// The directory, as it was given.
        directory: PathBuf,
        /// The file that was looked for.
        file: PathBuf,
        /// Why it cannot be read.
        #[source]
        error: io::Error,
    },
}

/// A console build in a directory.
#[derive(Clone)]
pub(crate) struct Console {
    directory: Arc<Path>,
    files: Compression<ServeDir>,
}

impl Console {
    /// The console in that directory, which must hold an `index.html`.
    pub(crate) fn open(directory: &Path) -> Result<Self, ConsoleError> {
        let file = directory.join("index.html");
        let readable = std::fs::File::open(&file).and_then(|file| match file.metadata()?.is_file() {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")),
        });
        if let Err(error) = readable {
            return Err(ConsoleError::NoIndex { directory: directory.to_owned(), file, error });
        }
        Ok(Self { directory: directory.into(), files: Compression::new(ServeDir::new(directory)) })
    }

    /// The file at the path of a request, or that there is none.
    pub(crate) async fn respond(self, request: &Parts) -> Response<Body> {
        let mut response = match request.method {
            Method::GET | Method::HEAD => self.file(request).await,
            _ => {
                let text = format!("{} is not possible here, only GET and HEAD", request.method);
                let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, &text);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // As the network observer has them: it is what the console is made for.
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self';"));
        response
    }

    async fn file(mut self, request: &Parts) -> Response<Body> {
        let path = request.uri.path();
        if path.contains("//") {
            // A redirection to a path with two slashes in front would lead to another server.
            return moved(path, request.uri.query());
        }
        if path.len() > LONGEST_PATH {
            let text = format!("the path has {} octets, but can have {LONGEST_PATH}", path.len());
            return refusal(StatusCode::URI_TOO_LONG, &text);
        }
        let (directory, asked_for) = (Arc::clone(&self.directory), path.to_owned());
        // A disk may take its time.
        if !spawn_blocking(move || is_served(&directory, &asked_for)).await.unwrap_or_default() {
            return refusal(StatusCode::NOT_FOUND, &format!("the console has no file {}", excerpt(path)));
        }
        let mut asked = Request::new(Empty::<Bytes>::new());
        asked.method_mut().clone_from(&request.method);
        asked.uri_mut().clone_from(&request.uri);
        asked.headers_mut().clone_from(&request.headers);
        let Ok(mut found) = self.files.call(asked).await;
        match found.status() {
            StatusCode::NOT_FOUND => {
                refusal(StatusCode::NOT_FOUND, &format!("the console has no file {}", excerpt(path)))
            }
            StatusCode::INTERNAL_SERVER_ERROR => {
                warn!("cannot read the file of the console at {path}");
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read")
            }
            _ => {
                cache(path, found.headers_mut());
                found.map(|body| body.map_err(Into::into).boxed_unsync())
            }
        }
    }
}

/// Paths of files are no longer than this, in octets.
const LONGEST_PATH: usize = 4096;

/// Whether a path leads to a file in that directory, or to a directory in it whose page is one.
fn is_served(directory: &Path, path: &str) -> bool {
    let Ok(path) = percent_decode_str(path).decode_utf8() else { return false };
    let path = path.trim_start_matches('/');
    if path.contains('\0') || path.split('/').any(|name| name.starts_with('.')) {
        return false;
    }
    let Ok(root) = directory.canonicalize() else { return false };
    let Ok(mut found) = root.join(path).canonicalize() else { return false };
    if found.starts_with(&root) && found.is_dir() {
        if !path.is_empty() && !path.ends_with('/') {
            // It is led to the path with a slash at its end.
            return true;
        }
        let Ok(page) = found.join("index.html").canonicalize() else { return false };
        found = page;
    }
    found.starts_with(&root) && found.is_file()
}

/// How long a browser may keep a file: for ever where its name changes with what is in it, else until it has asked
/// whether there is a new one.
fn cache(path: &str, headers: &mut HeaderMap) {
    let held = if has_hash(path) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(held));
}

/// Whether a name has a sum of what is in the file, as bundlers write it: `main.3f2a9c1b7d.min.js`.
fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_hash = |part: &str| {
        let is_digit = |octet: u8| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet);
        // A number alone is more likely a date, or a version.
        part.len() >= 8 && part.bytes().all(is_digit) && !part.bytes().all(|octet| octet.is_ascii_digit())
    };
    name.split(['.', '-']).any(is_hash)
}

/// To the same path with single slashes.
fn moved(path: &str, query: Option<&str>) -> Response<Body> {
    let mut location = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        location.extend(["/", part]);
    }
    if location.is_empty() || path.ends_with('/') {
        location.push('/');
    }
    if let Some(query) = query {
        location.extend(["?", query]);
    }
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// `{"error": …}`, as the API has it.
pub(crate) fn refusal(status: StatusCode, text: &str) -> Response<Body> {
    let body = format!("{}\n", serde_json::json!({ "error": text }));
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// What a client asked for, short enough to be repeated to it.
fn excerpt(path: &str) -> String {
    path.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use http::header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, IF_MODIFIED_SINCE, LAST_MODIFIED, VARY,
    };
    use tempfile::TempDir;

    use super::*;

    const PAGE: &str = "<!doctype html><title>The console</title>";

    /// A build, in a directory beside which there is a secret.
    fn build() -> (TempDir, Console) {
        let above = tempfile::tempdir().expect("a directory");
        let directory = above.path().join("console");
        fs::create_dir_all(directory.join("assets")).expect("writes");
        let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("writes");
        write("index.html", PAGE);
        write("main.3f2a9c1b7d.min.js", &"let console = 'ours';\n".repeat(50));
        write("assets/logo.svg", "<svg/>");
        write("manifest.json", "{}");
        fs::write(above.path().join("secret"), "secret").expect("writes");
        let console = Console::open(&directory).expect("a console");
        (above, console)
    }

    struct Answer {
        status: u16,
        headers: HeaderMap,
        body: String,
    }

    impl Answer {
        fn header(&self, name: impl http::header::AsHeaderName) -> &str {
            self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
        }
    }

    async fn ask(console: &Console, request: http::request::Builder) -> Answer {
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let (head, body) = console.clone().respond(&parts).await.into_parts();
        let body = body.collect().await.expect("reads").to_bytes();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    async fn get(console: &Console, path: &str) -> Answer {
        ask(console, Request::get(path)).await
    }

    #[tokio::test]
    async fn files_have_their_types_and_the_headers_of_the_observer() {
        let (_above, console) = build();
        for (path, content_type, held) in [
            ("/", "text/html", "no-cache"),
            ("/index.html", "text/html", "no-cache"),
            ("/main.3f2a9c1b7d.min.js", "text/javascript", "public, max-age=31536000, immutable"),
            ("/assets/logo.svg?v=1", "image/svg+xml", "no-cache"),
            ("/manifest.json", "application/json", "no-cache"),
        ] {
            let answer = get(&console, path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header(CONTENT_TYPE), content_type, "{path}");
            assert_eq!(answer.header(CACHE_CONTROL), held, "{path}");
            assert_eq!(answer.header(X_FRAME_OPTIONS), "SAMEORIGIN");
            assert_eq!(answer.header(CONTENT_SECURITY_POLICY), "default-src 'self';");
            assert_eq!(answer.header(X_CONTENT_TYPE_OPTIONS), "nosniff");
        }
        assert_eq!(get(&console, "/").await.body, PAGE);
    }

    #[tokio::test]
    async fn no_path_leads_out_of_the_directory() {
        let (_above, console) = build();
        for path in [
            "/../secret",
            "/assets/../../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/assets/..%2f..%2fsecret",
            "/%2e%2e%2fsecret",
            "/..%5csecret",
            "/%00",
            "/nothing",
            "/assets/nothing",
        ] {
            let answer = get(&console, path).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.body);
            assert_eq!(answer.header(CONTENT_TYPE), "application/json");
            assert_eq!(answer.body, format!("{{\"error\":\"the console has no file {path}\"}}\n"));
            assert_eq!(answer.header(CONTENT_SECURITY_POLICY), "default-src 'self';");
        }
    }

    #[tokio::test]
    async fn only_files_of_the_build_are_served_whatever_else_is_in_the_directory() {
        let (above, console) = build();
        let directory = above.path().join("console");
        fs::create_dir_all(directory.join(".git")).expect("writes");
        fs::create_dir_all(directory.join("..2026_11_27")).expect("writes");
        fs::create_dir_all(above.path().join("other")).expect("writes");
        for (file, text) in [
            ("console/.env", "secret"),
            ("console/.git/config", "secret"),
            ("console/..2026_11_27/app.js", "app"),
            ("other/index.html", "secret"),
        ] {
            fs::write(above.path().join(file), text).expect("writes");
        }
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, directory.join(name)).expect("links");
        };
        // As a volume of Kubernetes has its files.
        link("..2026_11_27", "..data");
        link("..data/app.js", "app.js");
        link("../secret", "out");
        link("../other", "elsewhere");
        link("/etc/passwd", "passwd");
        link("nowhere", "dangling");
        link("round", "round");
        rustix::fs::mkfifoat(rustix::fs::CWD, directory.join("fifo"), 0o600.into()).expect("makes a FIFO");
        fs::create_dir_all(directory.join("piped")).expect("writes");
        rustix::fs::mkfifoat(rustix::fs::CWD, directory.join("piped/index.html"), 0o600.into())
            .expect("makes a FIFO");
        for (path, expected) in [("/app.js", "app"), ("/", PAGE), ("/index.html", PAGE)] {
            let answer = get(&console, path).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, expected), "{path}");
        }
        assert_eq!(get(&console, "/piped").await.header(LOCATION), "/piped/");
        for path in [
            "/.env",
            "/%2eenv",
            "/.git/config",
            "/..data/app.js",
            "/..2026_11_27/app.js",
            "/out",
            "/elsewhere",
            "/elsewhere/",
            "/elsewhere/index.html",
            "/passwd",
            "/dangling",
            "/round",
            "/fifo",
            "/piped/",
            "/piped/index.html",
            "/assets/",
            "/a%00b",
            "/%ff",
        ] {
            let answer = get(&console, path).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.body);
            assert!(!answer.body.contains("secret"), "{path}");
        }
    }

    #[tokio::test]
    async fn paths_that_are_too_long_are_said_to_be() {
        let (_above, console) = build();
        let answer = get(&console, &format!("/{}", "a".repeat(8191))).await;
        assert_eq!(answer.status, 414);
        assert_eq!(answer.body, "{\"error\":\"the path has 8192 octets, but can have 4096\"}\n");
        let answer = get(&console, &format!("/{}", "a".repeat(4095))).await;
        assert_eq!(answer.status, 404, "no file has such a name: {}", answer.body);
    }

    #[tokio::test]
    async fn slashes_that_lead_nowhere_are_led_back_to_this_server() {
        let (_above, console) = build();
        for (path, location) in
            [("//assets", "/assets"), ("/assets//logo.svg?a=//b", "/assets/logo.svg?a=//b"), ("///", "/")]
        {
            let answer = get(&console, path).await;
            assert_eq!((answer.status, answer.header(LOCATION)), (301, location), "{path}");
        }
        let answer = get(&console, "/assets").await;
        assert_eq!((answer.status, answer.header(LOCATION)), (307, "/assets/"));
    }

    #[tokio::test]
    async fn head_is_get_without_a_body_and_other_methods_are_refused() {
        let (_above, console) = build();
        let answer = ask(&console, Request::head("/")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header(CONTENT_LENGTH), PAGE.len().to_string());
        let answer = ask(&console, Request::post("/")).await;
        assert_eq!((answer.status, answer.header(ALLOW)), (405, "GET, HEAD"));
        assert_eq!(answer.body, "{\"error\":\"POST is not possible here, only GET and HEAD\"}\n");
    }

    #[tokio::test]
    async fn what_has_not_changed_is_not_sent_again_and_what_is_long_is_compressed() {
        let (_above, console) = build();
        let first = get(&console, "/").await;
        let again = Request::get("/").header(IF_MODIFIED_SINCE, first.header(LAST_MODIFIED));
        let again = ask(&console, again).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));

        let script = Request::get("/main.3f2a9c1b7d.min.js").header(ACCEPT_ENCODING, "gzip, deflate, br");
        let script = ask(&console, script).await;
        assert_eq!(script.header(CONTENT_ENCODING), "gzip");
        assert_eq!(script.header(VARY).to_lowercase(), "accept-encoding");
        assert!(script.body.len() < 200, "{}", script.body.len());
    }

    #[test]
    fn a_directory_without_a_console_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().display().to_string();
        let refused = || Console::open(directory.path()).map(drop).expect_err("no console").to_string();
        let there_is_none = format!(
            "there is no console in {path}: it should hold the index.html of a console build, but \
             {path}/index.html: "
        );
        assert_eq!(refused(), format!("{there_is_none}No such file or directory (os error 2)"));
        fs::create_dir(directory.path().join("index.html")).expect("writes");
        assert_eq!(refused(), format!("{there_is_none}it is no file"));
    }

    #[test]
    fn names_that_change_with_what_is_in_them_are_known() {
        for name in ["/main.3f2a9c1b7d.min.js", "/js/12.deadbeef0.min.js", "/a-0123456789abcdef.css"] {
            assert!(has_hash(name), "{name}");
        }
        for name in ["/", "/index.html", "/favicon.ico", "/report.20251231.pdf", "/3f2a9c1b7d/logo.svg"] {
            assert!(!has_hash(name), "{name}");
        }
    }
}
