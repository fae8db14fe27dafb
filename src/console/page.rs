//! Where the page is, in words, and as a QR code for the telephones in the room.
//!
//! Spec: `proto-notes/events.md`, "In words".

use super::look::Look;
use crate::contract::WebReply;

/// The reply of `web` in words.
#[must_use]
pub fn where_it_is(reply: &WebReply, look: Look) -> String {
    let mut text = format!("the page is at {}", reply.web);
    if let Some(first) = reply.elsewhere.first() {
        let all = reply.elsewhere.join(" ");
        text.push_str(&format!("\nothers may look, at {all}"));
        if let Some(code) = picture(first, look) {
            text.push('\n');
            text.push_str(&code);
        }
    }
    text
}

/// The QR code of an address; none where the terminal cannot show it.
#[cfg(feature = "web")]
fn picture(url: &str, look: Look) -> Option<String> {
    use qrcode::QrCode;
    use qrcode::render::unicode::Dense1x2;

    let code = QrCode::new(url).ok()?;
    // Light on dark, as most terminals are; readers take both.
    let text = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    let is_narrow = text
        .lines()
        .next()
        .is_some_and(|line| line.chars().count() < look.columns);
    (look.unicode && is_narrow).then_some(text)
}

#[cfg(not(feature = "web"))]
const fn picture(_: &str, _: Look) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(elsewhere: &[&str]) -> WebReply {
        WebReply {
            web: "http://127.0.0.1:8645/#t=00".into(),
            elsewhere: elsewhere.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_page_for_this_machine_is_an_address_alone() {
        let text = where_it_is(&reply(&[]), Look::default());
        assert_eq!(text, "the page is at http://127.0.0.1:8645/#t=00");
    }

    #[cfg(feature = "web")]
    #[test]
    fn a_page_for_a_room_has_a_picture_of_the_address_without_the_token() {
        let look = |unicode, columns| Look {
            unicode,
            columns,
            ..Look::default()
        };
        let room = reply(&["http://192.168.1.5:8645/", "http://10.0.0.5:8645/"]);
        let text = where_it_is(&room, look(true, 80));
        assert!(
            text.contains("\nothers may look, at http://192.168.1.5:8645/ http://10.0.0.5:8645/\n"),
            "{text}"
        );
        assert!(text.lines().count() > 12 && text.contains('\u{2580}'), "{text}");
        for narrow in [look(true, 20), look(false, 80)] {
            assert_eq!(where_it_is(&room, narrow).lines().count(), 2);
        }
    }
}
