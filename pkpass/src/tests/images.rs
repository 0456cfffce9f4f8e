//! Names, sizes and bytes of images.

use proptest::prelude::*;

use crate::image::{
    Image, ImageName, MAX_IMAGE_BYTES, PngError, PngHeader, check_size, decode_png, read_png,
};
use crate::tests::fixtures::png;
use crate::{PassKind, TicketStyle, lint_images, missing_images};

fn name(text: &str) -> ImageName {
    ImageName::parse(text).unwrap()
}

/// A chunk with its length and checksum.
fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let covered = [&kind, data].concat();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], &covered, &crc32fast::hash(&covered).to_be_bytes()].concat()
}

fn header(width: u32, height: u32, rest: [u8; 5]) -> Vec<u8> {
    chunk(*b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &rest].concat())
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n"[..], &chunks.concat()].concat()
}

const RGB8: [u8; 5] = [8, 2, 0, 0, 0];

#[test]
fn sizes_are_those_of_the_slot_times_the_scale() {
    let fits = |text, width, height| check_size(&name(text), PngHeader { width, height }).is_ok();
    for (text, width, height) in [
        ("icon.png", 38, 38),
        ("icon.png", 29, 29),
        ("icon@3x.png", 114, 114),
        ("icon@3x.png", 87, 87),
        ("logo.png", 160, 50),
        ("logo.png", 1, 1),
        ("logo@2x.png", 320, 100),
        ("background.png", 345, 505),
        ("background@2x.png", 360, 440),
        ("strip@3x.png", 1125, 432),
        ("venueMap.png", 4096, 4096),
    ] {
        assert!(fits(text, width, height), "{text} {width}×{height}");
    }
    for (text, width, height) in [
        ("icon.png", 38, 29),
        ("icon.png", 76, 76),
        ("icon@2x.png", 38, 38),
        ("logo.png", 161, 50),
        ("logo.png", 160, 51),
        ("background.png", 505, 345),
        ("thumbnail.png", 112, 142),
        ("secondaryLogo@2x.png", 271, 24),
    ] {
        assert!(!fits(text, width, height), "{text} {width}×{height}");
    }
}

#[test]
fn another_size_names_the_file_what_was_found_and_what_is_drawn() {
    let error =
        |text, width, height| check_size(&name(text), PngHeader { width, height }).unwrap_err().to_string();
    assert_eq!(
        error("icon@2x.png", 38, 38),
        "icon@2x.png is 38×38 pixels, and Wallet draws 76×76 or 58×58: a phone scales or cuts it"
    );
    assert_eq!(
        error("logo.png", 200, 50),
        "logo.png is 200×50 pixels, and Wallet draws at most 160×50: a phone scales or cuts it"
    );
}

#[test]
fn a_png_file_is_measured() {
    assert_eq!(read_png(&png(38, 29)), Ok(PngHeader { width: 38, height: 29 }));
    let handmade =
        file(&[header(4096, 1, RGB8), chunk(*b"tEXt", b"hi"), chunk(*b"IDAT", b""), chunk(*b"IEND", b"")]);
    assert_eq!(read_png(&handmade), Ok(PngHeader { width: 4096, height: 1 }));
}

#[test]
fn a_png_file_cut_off_anywhere_is_refused() {
    let whole = png(5, 5);
    for length in 0..whole.len() {
        let error = read_png(&whole[..length]).unwrap_err();
        let expected = if length < 8 {
            matches!(error, PngError::Signature)
        } else {
            matches!(error, PngError::Truncated { .. })
        };
        assert!(expected, "{length}: {error}");
    }
}

#[test]
fn a_png_file_with_any_byte_changed_is_refused() {
    let whole = png(5, 5);
    for position in 0..whole.len() {
        let mut changed = whole.clone();
        changed[position] ^= 0x10;
        assert!(read_png(&changed).is_err(), "{position}");
    }
}

#[test]
fn each_fault_of_a_png_file_has_its_name() {
    let (good, data, end) = (header(5, 5, RGB8), chunk(*b"IDAT", b"x"), chunk(*b"IEND", b""));
    let mut wrong_checksum = file(&[good.clone(), data.clone(), end.clone()]);
    wrong_checksum[8 + 25 + 8] ^= 1;
    let cases = [
        (b"GIF89a".to_vec(), PngError::Signature),
        (wrong_checksum, PngError::Checksum { offset: 33 }),
        (file(&[data.clone(), good.clone(), end.clone()]), PngError::Header),
        (file(&[chunk(*b"IHDR", b"short"), data.clone(), end.clone()]), PngError::Header),
        (
            file(&[good.clone(), good.clone(), data.clone(), end.clone()]),
            PngError::SecondHeader { offset: 33 },
        ),
        (file(&[good.clone(), end.clone()]), PngError::NoData),
        (file(&[good.clone(), data.clone()]), PngError::Truncated { offset: 46 }),
        (file(&[good.clone(), data.clone(), end.clone(), b"junk".to_vec()]), PngError::Trailing { bytes: 4 }),
        (file(&[header(0, 5, RGB8)]), PngError::Dimensions { width: 0, height: 5 }),
        (file(&[header(5, 0, RGB8)]), PngError::Dimensions { width: 5, height: 0 }),
        (file(&[header(4097, 5, RGB8)]), PngError::Dimensions { width: 4097, height: 5 }),
        (file(&[header(5, u32::MAX, RGB8)]), PngError::Dimensions { width: 5, height: u32::MAX }),
        (file(&[header(5, 5, [4, 2, 0, 0, 0])]), PngError::ColorType { bit_depth: 4, color_type: 2 }),
        (file(&[header(5, 5, [16, 3, 0, 0, 0])]), PngError::ColorType { bit_depth: 16, color_type: 3 }),
        (file(&[header(5, 5, [8, 1, 0, 0, 0])]), PngError::ColorType { bit_depth: 8, color_type: 1 }),
        (file(&[header(5, 5, [8, 2, 1, 0, 0])]), PngError::Method),
        (file(&[header(5, 5, [8, 2, 0, 0, 2])]), PngError::Method),
        (vec![0; MAX_IMAGE_BYTES + 1], PngError::TooLarge { bytes: MAX_IMAGE_BYTES + 1 }),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read_png(&bytes), Err(expected));
    }
}

#[test]
fn a_chunk_that_claims_to_be_enormous_is_cut_off() {
    let mut bytes = file(&[header(5, 5, RGB8)]);
    bytes.extend([0xff, 0xff, 0xff, 0xff]);
    bytes.extend(*b"IDATxxxxxxxx");
    assert_eq!(read_png(&bytes), Err(PngError::Truncated { offset: 33 }));
}

#[test]
fn an_image_knows_its_sha_1() {
    let image = Image::new(&b"abc"[..]);
    assert_eq!(hex::encode(image.sha1()), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(&image.bytes()[..], b"abc");
}

fn missing(poster: bool, names: &[&str]) -> Vec<(bool, String, String)> {
    let names: Vec<ImageName> = names.iter().map(|text| name(text)).collect();
    let findings = missing_images(PassKind { style: TicketStyle::Event, poster }, names.iter());
    findings.into_iter().map(|each| (each.is_error(), each.code.into_owned(), each.pointer)).collect()
}

#[test]
fn a_pass_without_an_icon_cannot_be_and_a_poster_without_its_image_is_plain() {
    let icon = (true, "image_missing".to_owned(), "/assets/icon.png".to_owned());
    let background = (false, "image_missing".to_owned(), "/assets/background.png".to_owned());
    assert_eq!(missing(false, &["logo.png"]), std::slice::from_ref(&icon));
    assert_eq!(missing(true, &["logo.png"]), [icon, background]);
}

#[test]
fn a_missing_scale_of_the_icon_is_a_warning() {
    let scale = |text: &str| (false, "image_scale_missing".to_owned(), format!("/assets/{text}"));
    assert_eq!(missing(false, &["icon.png"]), [scale("icon@2x.png"), scale("icon@3x.png")]);
    assert_eq!(missing(false, &["icon@2x.png"]), [scale("icon@3x.png")]);
    for large in ["background@3x.png", "artwork.png"] {
        assert_eq!(missing(true, &["icon@2x.png", "icon@3x.png", large]), []);
    }
}

/// Code and pointer of each warning about these images, with their sizes.
fn warnings(kind: PassKind, images: &[(&str, u32, u32)]) -> Vec<(String, String)> {
    let images = images
        .iter()
        .map(|(text, width, height)| (name(text).into(), Some(PngHeader { width: *width, height: *height })));
    let findings = lint_images(kind, &images.collect());
    assert!(findings.iter().all(|finding| !finding.is_error()), "{findings:?}");
    findings.into_iter().map(|each| (each.code.into_owned(), each.pointer)).collect()
}

fn pair(code: &str, file: &str) -> (String, String) {
    (code.to_owned(), format!("/assets/{file}"))
}

#[test]
fn an_image_that_the_kind_of_pass_does_not_show_is_a_warning_that_names_the_kinds_that_do() {
    let event = PassKind::plain(TicketStyle::Event);
    for kind in TicketStyle::ALL.map(PassKind::plain) {
        for each in ImageName::all() {
            let text = each.to_string();
            let expected =
                if kind.shows(each.slot()) { vec![] } else { vec![pair("image_not_shown", &text)] };
            assert_eq!(
                warnings(kind, &[(&text, 1, 1)])
                    .iter()
                    .filter(|(code, _)| code != "image_size")
                    .cloned()
                    .collect::<Vec<_>>(),
                expected
            );
        }
    }
    let said = |text| lint_images(event, &[(name(text).into(), None)].into())[0].detail.clone();
    assert!(said("footer.png").contains("shown by boarding"), "{}", said("footer.png"));
    assert!(said("artwork@2x.png").contains("event with the poster look, generic"));
    assert!(said("personalizationLogo.png").contains("no pass shows it"));
}

#[test]
fn an_image_of_another_size_is_a_warning_that_names_both_sizes() {
    let generic = PassKind::plain(TicketStyle::Generic);
    assert_eq!(warnings(generic, &[("thumbnail.png", 112, 142)]), [pair("image_size", "thumbnail.png")]);
    assert_eq!(warnings(generic, &[("thumbnail@2x.png", 112, 142)]), []);
    let header = PngHeader { width: 35, height: 35 };
    let detail = lint_images(generic, &[(name("icon.png").into(), Some(header))].into())[0].detail.clone();
    assert!(detail.contains("35×35") && detail.contains("38×38 or 29×29"), "{detail}");
}

#[test]
fn a_ticket_with_a_strip_beside_a_background_or_a_thumbnail_is_told_so() {
    let event = PassKind::plain(TicketStyle::Event);
    let (strip, background) = (("strip.png", 375, 98), ("background.png", 180, 220));
    let thumbnail = ("thumbnail.png", 90, 90);
    assert_eq!(warnings(event, &[background, thumbnail]), []);
    assert_eq!(warnings(event, &[strip]), []);
    for images in [vec![strip, background], vec![strip, thumbnail], vec![background, strip, thumbnail]] {
        assert_eq!(warnings(event, &images), [pair("image_excluded", "strip.png")], "{images:?}");
    }
    let card = PassKind::plain(TicketStyle::StoreCard);
    assert_eq!(warnings(card, &[strip, background]), [pair("image_not_shown", "background.png")]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read_png(&bytes).is_err(), "random bytes have no right checksums");
    }

    #[test]
    fn any_chunks_behind_a_header_are_read_or_refused(
        chunks in proptest::collection::vec((any::<[u8; 4]>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        header_bytes in any::<[u8; 13]>(),
    ) {
        let mut parts = vec![chunk(*b"IHDR", &header_bytes)];
        parts.extend(chunks.iter().map(|(kind, data)| chunk(*kind, data)));
        prop_assert!(read_png(&file(&parts)).is_err(), "there is no end chunk");
    }
}

#[test]
fn an_image_whose_pixels_cannot_be_read_is_refused_when_it_is_uploaded() {
    let whole = png(29, 29);
    assert_eq!(decode_png(&whole).unwrap(), PngHeader { width: 29, height: 29 });
    let garbage = file(&[
        header(29, 29, [8, 6, 0, 0, 0]),
        chunk(*b"IDAT", b"these are no pixels"),
        chunk(*b"IEND", b""),
    ]);
    assert!(read_png(&garbage).is_ok(), "its chunks are in order");
    assert_eq!(decode_png(&garbage), Err(PngError::Pixels));
    // One row of one byte, without a filter.
    let row = [0x78, 0xda, 0x63, 0x88, 0x02, 0x00, 0x00, 0x5c, 0x00, 0x5b];
    let image = |color_type| {
        file(&[header(8, 1, [1, color_type, 0, 0, 0]), chunk(*b"IDAT", &row), chunk(*b"IEND", b"")])
    };
    let (grey, no_palette) = (image(0), image(3));
    assert!(decode_png(&grey).is_ok(), "its row can be read");
    assert_eq!(decode_png(&no_palette), Err(PngError::Pixels));
}
