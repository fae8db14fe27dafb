//! The three files of the page, which the program holds.
//!
//! Promises: they are what was compiled in; a browser that has them is not sent them again.
//! Elsewhere: what they do (`src/web/page/`).
//! Spec: `proto-notes/web.md`, "Routes".

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Hex digits of a hash that tell one version from another.
const TAG_DIGITS: usize = 16;

/// A file of the page.
pub(super) struct File {
    media: &'static str,
    text: &'static str,
}

/// What is opened first.
pub(super) const INDEX: File = File {
    media: "text/html; charset=utf-8",
    text: include_str!("page/index.html"),
};

/// The style of the page.
pub(super) const STYLE: File = File {
    media: "text/css; charset=utf-8",
    text: include_str!("page/page.css"),
};

/// What it does: one module in parts.
pub(super) const SCRIPT: File = File {
    media: "text/javascript; charset=utf-8",
    text: concat!(
        include_str!("page/00-words.js"),
        include_str!("page/05-elements.js"),
        include_str!("page/10-bytes.js"),
        include_str!("page/20-state.js"),
        include_str!("page/30-wire.js"),
        include_str!("page/40-layout.js"),
        include_str!("page/50-stage.js"),
        include_str!("page/60-panels.js"),
        include_str!("page/70-do.js"),
        include_str!("page/80-sheet.js"),
        include_str!("page/85-replay.js"),
        include_str!("page/90-main.js"),
    ),
};

impl File {
    /// The file as it is sent: without comments and indentation, which are a fifth of it. Comments of these files have lines of
    /// their own, and texts that go over several lines have no indentation.
    fn lean(&self) -> String {
        let is_comment = |line: &str| line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
        let lines = self.text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !is_comment(line))
            .flat_map(|line| [line, "\n"])
            .collect()
    }

    /// The file, or that the browser's copy is the same.
    pub(super) fn answer(&self, asked: &HeaderMap) -> Response {
        let text = self.lean();
        let mut tag = hex::encode(Sha256::digest(text.as_bytes()));
        tag.truncate(TAG_DIGITS);
        let tag = format!("\"{tag}\"");
        let known = asked.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(self.media)),
            // A browser asks each time, and is told that nothing changed.
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (ETAG, HeaderValue::from_str(&tag).expect("hex digits in quotes")),
        ];
        if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_page_is_served_and_nothing_of_it_is_loaded_from_elsewhere() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/page");
        let mut parts = 0;
        for entry in std::fs::read_dir(folder).expect("the page") {
            let path = entry.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("text");
            let is_served = [INDEX, STYLE, SCRIPT].iter().any(|file| file.text.contains(&text));
            assert!(is_served, "{} is in no file", path.display());
            parts += 1;
        }
        assert!(parts > 3);
        for file in [INDEX, STYLE, SCRIPT] {
            let text = file.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "an address of elsewhere");
            assert!(!text.contains("innerHTML") && !text.contains("@import") && !text.contains("eval("));
        }
        let forbidden = ["style=", "<style", "onclick=", "onload=", "onerror=", "onsubmit="];
        assert!(
            !forbidden.iter().any(|word| INDEX.text.contains(word)),
            "the policy forbids them"
        );
    }
}
