//! The page that shows the network: its files, which are in the binary as they are in the repository, without
//! comments, indentation, and ends of lines, commas and semicolons that separate nothing, and compressed besides.
//!
//! It is at `/`, unless a console build is, and always at `/view/`. It refers to its files and to the API by relative
//! paths alone, so that a proxy can have the collector below any path.

use std::{io::Read, sync::LazyLock};

use bytes::Bytes;
use flate2::{Compression, read::GzEncoder};
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION,
        REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
};
use http_body_util::{BodyExt, Full};

use crate::{
    answer::{Body, empty},
    console::refusal,
};

#[cfg(test)]
#[path = "../build/lean.rs"]
mod lean;

/// Where the page is, whatever is at `/`.
const VIEW: &str = "/view/";

/// Where the page is for whoever looks for it: at `/`, unless a console is.
pub(crate) fn path(has_console: bool) -> &'static str {
    if has_console { VIEW } else { "/" }
}

/// What the browser lets the page do: run and show what comes from here, and ask here. No more.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
#[derive(Clone, Copy, Debug)]
struct File {
    /// Its path below the page.
    name: &'static str,
    text: Text,
}

/// What is in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    octets: &'static [u8],
    /// The same, compressed by gzip.
    packed: &'static [u8],
}

/// Every file of the page, as `build.rs` finds them.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/ui.rs"));

/// `index.html` where the collector is one step above it: that is all the page knows of where it is.
static VIEW_INDEX: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let index = String::from_utf8_lossy(file_of(INDEX).map_or(&[], |file| file.text.octets));
    let octets = index.replacen("data-root=\"\"", "data-root=\"../\"", 1).into_bytes();
    let mut packed = Vec::new();
    GzEncoder::new(octets.as_slice(), Compression::best()).read_to_end(&mut packed).expect("memory is read");
    [octets, packed]
});

const INDEX: &str = "index.html";

fn file_of(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

/// A path that is the page's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    File {
        content_type: &'static str,
        text: Text,
    },
    /// The page is meant, and its relative paths need the slash that is missing.
    WithoutSlash,
}

/// What the page has at a path; `at_root` says whether it is at `/` too.
pub(crate) fn find(path: &str, at_root: bool) -> Option<Found> {
    if path == VIEW.trim_end_matches('/') {
        return Some(Found::WithoutSlash);
    }
    let (name, is_below) = match path.strip_prefix(VIEW) {
        Some(name) => (name, true),
        None => (path.strip_prefix('/').filter(|_| at_root)?, false),
    };
    let name = if name.is_empty() { INDEX } else { name };
    let file = file_of(name)?;
    let text = if is_below && name == INDEX {
        let [octets, packed] = &*VIEW_INDEX;
        Text { octets, packed }
    } else {
        file.text
    };
    Some(Found::File { content_type: content_type(name), text })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    }
}

/// The answer to a request for that.
pub(crate) fn respond(found: Found, request: &Parts) -> Response<Body> {
    let mut response = match (&request.method, found) {
        (&Method::GET | &Method::HEAD, Found::File { content_type, text }) => {
            file(content_type, text, request)
        }
        (&Method::GET | &Method::HEAD, Found::WithoutSlash) => moved(),
        (method, _) => {
            let text = format!("{method} is not possible here, only GET and HEAD");
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, &text);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// To the page. The path is relative, as a proxy may have put something before ours.
fn moved() -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("view/"));
    response
}

fn file(content_type: &'static str, text: Text, request: &Parts) -> Response<Body> {
    // Weak, since it is the same whether compressed or not.
    let tag = format!("W/\"{:08x}-{:x}\"", crc32fast::hash(text.octets), text.octets.len());
    let tag = HeaderValue::try_from(tag).expect("hexadecimal digits in quotes are a value");
    let is_known = vanflow_api::is_known(&request.headers, &tag);
    let is_packed = !is_known && vanflow_api::accepts_gzip(&request.headers);
    let octets = if is_packed { text.packed } else { text.octets };
    let body = if is_known || request.method == Method::HEAD {
        empty()
    } else {
        Full::new(Bytes::from_static(octets)).map_err(|never| match never {}).boxed_unsync()
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ETAG, tag);
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::{
        HeaderMap, Request,
        header::{ACCEPT_ENCODING, AsHeaderName, IF_NONE_MATCH},
    };

    use super::*;

    struct Answer {
        status: u16,
        headers: HeaderMap,
        body: Bytes,
    }

    impl Answer {
        fn header(&self, name: impl AsHeaderName) -> &str {
            self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
        }

        fn text(&self) -> &str {
            std::str::from_utf8(&self.body).expect("text")
        }
    }

    async fn ask(request: http::request::Builder) -> Answer {
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let found = find(parts.uri.path(), true).expect("it is the page's");
        let (head, body) = respond(found, &parts).into_parts();
        let body = body.collect().await.expect("reads").to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    #[test]
    fn what_the_page_refers_to_is_in_the_binary_and_what_checks_it_is_not() {
        let names: Vec<_> = FILES.iter().map(|file| file.name).collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
        for name in &names {
            assert!(folder.join(name).is_file(), "{name}");
            assert!(!name.starts_with("tests/") && !name.contains("node_modules"), "{name}");
        }
        let mut referred = vec![INDEX.to_owned()];
        for file in FILES {
            let text = std::str::from_utf8(file.text.octets).expect("text");
            let folder = file.name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let quoted = text.split(['\'', '"']).skip(1).step_by(2);
            let modules = text.lines().filter(|line| line.starts_with("import") || line.contains("}from"));
            let imported =
                modules.filter_map(|line| line.split('\'').nth(1)).map(|path| resolved(folder, path));
            referred.extend(imported);
            let later = text.split("import('").skip(1).filter_map(|rest| rest.split('\'').next());
            referred.extend(later.map(|path| resolved(folder, path)));
            if file.name == INDEX {
                let is_file = |name: &&str| name.ends_with(".js") || name.ends_with(".css");
                referred.extend(quoted.filter(is_file).map(str::to_owned));
            }
        }
        assert!(referred.len() > 20, "{referred:?}");
        // What the map does without comes after it.
        let index = std::str::from_utf8(file_of(INDEX).expect("it is there").text.octets).expect("text");
        for (name, comes_at_once) in
            [("views/map/picture.js", true), ("main.js", true), ("views/health.js", false)]
        {
            let preload = format!("<link rel=\"modulepreload\" href=\"{name}\">");
            assert_eq!(index.contains(&preload), comes_at_once, "{name}");
        }
        for name in referred {
            assert!(names.contains(&name.as_str()), "{name} is not there");
        }
    }

    /// The name of a module, as it is imported from a folder.
    fn resolved(folder: &str, path: &str) -> String {
        let mut parts: Vec<_> = folder.split('/').filter(|part| !part.is_empty()).collect();
        for part in path.split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }

    #[tokio::test]
    async fn files_have_their_types_and_headers_that_let_nothing_else_in() {
        for (path, content_type) in [
            ("/", "text/html; charset=utf-8"),
            ("/index.html", "text/html; charset=utf-8"),
            ("/view/", "text/html; charset=utf-8"),
            ("/style.css", "text/css; charset=utf-8"),
            ("/main.js", "text/javascript; charset=utf-8"),
            ("/view/views/map.js", "text/javascript; charset=utf-8"),
        ] {
            let answer = ask(Request::get(path)).await;
            assert_eq!((answer.status, answer.header(CONTENT_TYPE)), (200, content_type), "{path}");
            assert_eq!(answer.header(CONTENT_SECURITY_POLICY), POLICY);
            assert_eq!(answer.header(REFERRER_POLICY), "no-referrer");
            assert_eq!(answer.header(X_CONTENT_TYPE_OPTIONS), "nosniff");
            assert_eq!(answer.header(CACHE_CONTROL), "no-cache");
        }
    }

    #[tokio::test]
    async fn the_page_knows_whether_the_collector_is_above_it() {
        let index = ask(Request::get("/")).await;
        assert!(index.text().contains(" data-root=\"\">"), "{}", index.text());
        let view = ask(Request::get("/view/")).await;
        assert!(view.text().contains(" data-root=\"../\">"), "{}", view.text());
        let slash = ask(Request::get("/view")).await;
        assert_eq!((slash.status, slash.header(LOCATION)), (308, "view/"));
    }

    #[test]
    fn where_a_console_is_the_page_is_below_view_only() {
        for path in ["/view", "/view/", "/view/main.js", "/view/views/map.js"] {
            assert!(find(path, false).is_some(), "{path}");
        }
        for path in ["/", "/index.html", "/main.js", "/view/x", "/view/../main.js", "/viewer"] {
            assert!(find(path, false).is_none(), "{path}");
        }
        for path in ["/package.json", "/views", "//", "/view//", "/view/view/", ""] {
            assert!(find(path, true).is_none(), "{path}");
        }
    }

    #[tokio::test]
    async fn what_has_not_changed_is_not_sent_again_and_what_is_long_is_compressed() {
        let first = ask(Request::get("/main.js")).await;
        let tag = first.header(ETAG).to_owned();
        let again = ask(Request::get("/main.js").header(IF_NONE_MATCH, format!("\"other\", {tag}"))).await;
        assert_eq!((again.status, again.body.len(), again.header(ETAG)), (304, 0, tag.as_str()));
        let other = ask(Request::get("/style.css").header(IF_NONE_MATCH, tag)).await;
        assert_eq!(other.status, 200);

        let packed = ask(Request::get("/main.js").header(ACCEPT_ENCODING, "gzip, deflate, br")).await;
        assert_eq!(packed.header(CONTENT_ENCODING), "gzip");
        assert_eq!(packed.header(VARY).to_lowercase(), "accept-encoding");
        assert!(packed.body.len() < first.body.len() / 2, "{}", packed.body.len());
    }

    #[tokio::test]
    async fn what_is_compressed_is_the_same_and_is_for_those_who_take_it() {
        for path in ["/", "/view/", "/style.css", "/views/map.js"] {
            let plain = ask(Request::get(path)).await;
            let packed = ask(Request::get(path).header(ACCEPT_ENCODING, "br, GZIP;q=0.5")).await;
            let mut octets = Vec::new();
            flate2::read::GzDecoder::new(packed.body.as_ref()).read_to_end(&mut octets).expect("it is gzip");
            assert_eq!((plain.header(CONTENT_ENCODING), packed.header(CONTENT_ENCODING)), ("", "gzip"));
            assert!(octets == plain.body, "{path}");
            assert_eq!(plain.header(ETAG), packed.header(ETAG));
        }
        for (accepted, is_packed) in [
            ("*", true),
            ("identity", false),
            ("gzip;q=0", false),
            ("*, gzip; q=0", false),
            ("br, *;q=0.1", true),
        ] {
            let answer = ask(Request::get("/").header(ACCEPT_ENCODING, accepted)).await;
            assert_eq!(answer.header(CONTENT_ENCODING) == "gzip", is_packed, "{accepted}");
        }
    }

    #[test]
    fn comments_and_indentation_are_left_out_and_nothing_else_is() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
        // The semicolon behind the last statement of a block is left out, too.
        let without_space = |text: &str| {
            text.chars().filter(|letter| !letter.is_whitespace() && *letter != ';').collect::<String>()
        };
        for file in FILES.iter().filter(|file| file.name.ends_with(".js")) {
            let written = std::fs::read_to_string(folder.join(file.name)).expect("reads");
            let served = std::str::from_utf8(file.text.octets).expect("text");
            assert!(!served.contains("\n\n") && !served.contains("\n "), "{}", file.name);
            assert!(!served.contains("@module") && !served.contains("@type"), "{}", file.name);
            let served = without_space(served);
            let mut rest = served.as_str();
            // Each line that has no comment, in its order.
            let is_comment = |line: &&str| {
                line.trim_start().starts_with('*') || line.contains("/*") || line.contains("//")
            };
            for line in written.lines().filter(|line| !is_comment(line)) {
                // So is the comma behind the last of a list.
                let line = without_space(line).trim_end_matches(',').to_owned();
                let (_, after) = rest.split_once(&line).unwrap_or_else(|| panic!("{}: {line}", file.name));
                rest = after;
            }
        }
    }

    #[test]
    fn what_is_served_means_what_is_written() {
        for (name, written, served) in [
            ("a.js", "  let a = 1; // one\n\n/** two\n */ let b = a + +a - -a;", "let a=1;let b=a+ +a- -a;"),
            (
                "a.js",
                "return  /[/ ]  \\/'/g.test(x) ? 'a  // b' : \"it's\"",
                "return /[/ ]  \\/'/g.test(x)?'a  // b':\"it's\"",
            ),
            ("a.js", "f(a / b, c) / d; g(/x  y/)", "f(a / b,c) / d;g(/x  y/)"),
            ("a.js", "`a  ${ {b: `  ${ c }  `} }  /* d */`;", "`a  ${{b:`  ${c}  `}}  /* d */`;"),
            ("a.js", "import { a } from './a.js';", "import{a}from'./a.js';"),
            ("a.js", "1 .toFixed(); a\n  ++b; 'ü' in ü", "1 .toFixed();a\n++b;'ü'in ü"),
            ("a.js", "a = {\n  b: [\n    1,\n  ],\n};\n\n\n\nc /*\n*/ d", "a={b:[1]};c\nd"),
            ("a.js", "f(a,\n);[, ];[a, , ];`${f(b, )}, `", "f(a);[,];[a,,];`${f(b)}, `"),
            ("a.js", "if (a) {\n  b();\n}\nfor (;;) {\n  c = `${ d }`;\n}\n", "if(a){b()}for(;;){c=`${d}`}"),
            ("a.js", "`a,\n  b`", "`a,\n  b`"),
            (
                "a.css",
                "a:hover,  b > c { d: calc(1px + 2px) /* e */; content: \"  ;}\"; }",
                "a:hover,b>c{d:calc(1px + 2px);content:\"  ;}\"}",
            ),
            (
                "a.css",
                "@media (max-width: 1px) and (b) {\n  .a .b:not(.c) { d: e !important; }\n}",
                "@media (max-width:1px) and (b){.a .b:not(.c){d:e !important}}",
            ),
            ("a.html", "<p>  a  <!-- b -->", "<p>  a  <!-- b -->"),
        ] {
            assert_eq!(lean::file(name, written).as_deref(), Ok(served));
        }
        for (name, written, line) in [
            ("a.js", "a\nb = 'c\n'", 2),
            ("a.js", "a\n/* b", 2),
            ("a.js", "`a ${b", 1),
            ("a.css", "a { b: \"c }", 1),
        ] {
            assert_eq!(lean::file(name, written), Err(lean::Unclosed { line }), "{written}");
        }
    }

    /// What all views together cost on the line.
    #[tokio::test]
    async fn the_page_is_light() {
        let mut sum = 0;
        for file in FILES {
            let request = Request::get(format!("/{}", file.name)).header(ACCEPT_ENCODING, "gzip");
            sum += ask(request).await.body.len();
        }
        assert!(sum <= 80_000, "{sum}");
    }

    #[tokio::test]
    async fn head_is_get_without_a_body_and_other_methods_are_refused() {
        let answer = ask(Request::head("/")).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        let answer = ask(Request::post("/")).await;
        assert_eq!((answer.status, answer.header(ALLOW)), (405, "GET, HEAD"));
        assert_eq!(answer.text(), "{\"error\":\"POST is not possible here, only GET and HEAD\"}\n");
    }
}
