//! Client ids as they go up. WarpStream reads options out of them: `key=value` between commas, such as
//! `my-app,ws_az=us-east-1a`. A client that speaks to us cannot know what they would do behind us (`ws_host_override`
//! changes the addresses that we are told), so its options are taken out, and ours are put in where the config says so.
//!
//! Source: docs.warpstream.com, "Configuring Kafka Client ID Features".

use bytes::Bytes;

/// Keys that begin so are WarpStream's, short and long.
const OPTIONS: [&[u8]; 2] = [b"ws_", b"warpstream_"];

/// The longest that a request's head has room for.
const LONGEST: usize = i16::MAX as usize;

/// A client id without WarpStream's options: mostly the same slice.
#[must_use]
pub fn without_options(id: Bytes) -> Bytes {
    if !id.split(|byte| *byte == b',').any(is_option) {
        return id;
    }
    let mut kept = Vec::with_capacity(id.len());
    for piece in id.split(|byte| *byte == b',').filter(|piece| !is_option(piece)) {
        if !kept.is_empty() {
            kept.push(b',');
        }
        kept.extend_from_slice(piece);
    }
    kept.into()
}

fn is_option(piece: &[u8]) -> bool {
    let piece = piece.trim_ascii_start();
    OPTIONS.iter().any(|start| piece.starts_with(start)) && piece.contains(&b'=')
}

/// A client id, without options, that tells a WarpStream cluster which zone we are in. What has no room for that, or is no
/// text, is cut.
#[must_use]
pub fn in_zone(id: Option<&Bytes>, zone: &str) -> Bytes {
    let option = format!("ws_az={zone}");
    let id = id.map(|id| String::from_utf8_lossy(id)).unwrap_or_default();
    if id.is_empty() {
        return option.into();
    }
    let room = LONGEST.saturating_sub(option.len() + 1);
    let end = id.floor_char_boundary(room);
    let kept = id.get(..end).unwrap_or_default();
    format!("{kept},{option}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn without(id: &str) -> String {
        String::from_utf8(without_options(Bytes::copy_from_slice(id.as_bytes())).to_vec()).unwrap()
    }

    #[test]
    fn options_of_a_client_are_taken_out_and_all_else_stays() {
        for (said, kept) in [
            ("my-app", "my-app"),
            ("my-app,ws_az=us-east-1a", "my-app"),
            ("ws_az=us-east-1a", ""),
            ("warpstream_proxy_target=proxy-produce,my-app", "my-app"),
            ("a=b, ws_host_override=evil,c=d,rest", "a=b,c=d,rest"),
            ("a,,ws_az=x,", "a,,"),
            ("ws_of_old", "ws_of_old"),
            ("news_az=1,my_ws_az=2", "news_az=1,my_ws_az=2"),
            ("", ""),
        ] {
            assert_eq!(without(said), kept, "{said}");
        }
        let odd = Bytes::from_static(b"\xff\xfe,ws_az=x");
        assert_eq!(without_options(odd), &b"\xff\xfe"[..], "no text");
    }

    #[test]
    fn our_zone_is_put_in_where_there_is_room() {
        let zoned = |id: &str| in_zone(Some(&Bytes::copy_from_slice(id.as_bytes())), "eu-1a");
        assert_eq!(zoned("app"), "app,ws_az=eu-1a");
        assert_eq!(zoned(""), "ws_az=eu-1a");
        assert_eq!(in_zone(None, "eu-1a"), "ws_az=eu-1a");
        let long = zoned(&"ü".repeat(LONGEST / 2));
        assert!(long.len() <= LONGEST && long.ends_with("ü,ws_az=eu-1a".as_bytes()), "{}", long.len());
    }

    proptest! {
        #[test]
        fn no_option_of_a_client_is_left(id in prop::collection::vec(prop_oneof![
            Just("ws_az=x".to_owned()), Just(" ws_".to_owned()), Just("warpstream_a=".to_owned()), "[a-z=,_ ]{0,8}",
        ], 0..8)) {
            let kept = without(&id.join(","));
            prop_assert!(!kept.split(',').any(|piece| is_option(piece.as_bytes())), "{kept}");
            prop_assert_eq!(without(&kept), kept.clone(), "nothing is left to do");
        }
    }
}
