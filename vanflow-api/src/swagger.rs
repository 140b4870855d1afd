//! A page to read both APIs in, and to try them.
//!
//! It is Swagger UI, with its script and its style out of this binary. Nothing comes from elsewhere, and nothing is
//! reported elsewhere: the policy of the page forbids it, and what of Swagger UI would do so is turned off.

use std::io::Read;

use flate2::read::GzDecoder;

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asset {
    Page,
    Start,
    Script,
    Style,
    Icon,
}

/// What browsers are to hold the page to. Swagger UI sets styles, and has pictures in its style sheet.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is in a file.
pub(crate) enum Content {
    Text(&'static str),
    /// Compressed by gzip.
    Compressed(&'static [u8]),
}

impl Asset {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Page => "text/html; charset=utf-8",
            Self::Start | Self::Script => "text/javascript; charset=utf-8",
            Self::Style => "text/css; charset=utf-8",
            Self::Icon => "image/png",
        }
    }

    pub(crate) fn content(self) -> Content {
        match self {
            Self::Page => Content::Text(PAGE),
            Self::Start => Content::Text(START),
            Self::Script => {
                Content::Compressed(include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")))
            }
            Self::Style => {
                Content::Compressed(include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")))
            }
            Self::Icon => {
                Content::Compressed(include_bytes!(concat!(env!("OUT_DIR"), "/favicon-32x32.png.gz")))
            }
        }
    }
}

/// What was compressed, for who does not take it so.
pub(crate) fn expanded(compressed: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    GzDecoder::new(compressed).read_to_end(&mut octets).expect("it was compressed when this was built");
    octets
}

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>The APIs of the VAN-Flow collector</title>
<link rel=\"icon\" type=\"image/png\" href=\"/swagger/favicon-32x32.png\">
<link rel=\"stylesheet\" href=\"/swagger/swagger-ui.css\">
<noscript>This page needs JavaScript. <a href=\"/openapi.json\">The document that it shows</a> does not.</noscript>
<div id=\"reference\"></div>
<script src=\"/swagger/swagger-ui-bundle.js\"></script>
<script src=\"/swagger/start.js\"></script>
</html>
";

const START: &str = "window.ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  // It would have the document looked at by a server elsewhere.
  validatorUrl: null
});
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_what_is_here() {
        for text in [PAGE, START] {
            assert!(!text.contains("://"), "{text}");
        }
        let Content::Compressed(script) = Asset::Script.content() else { panic!("it is large") };
        let script = String::from_utf8(expanded(script)).expect("text");
        assert!(script.contains("SwaggerUIBundle"), "it is what the page calls");
    }
}
