//! The rules, their sentences and their sources. Their ids are stable; programs may rely on them.

use std::fmt;

macro_rules! rules {
    ($($rule:ident $id:literal $sentence:literal $source:literal;)*) => {
        /// One rule of the web service protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $sentence] $rule,)*
        }

        impl Rule {
            /// Every rule, in the order in which a report has them.
            pub const ALL: &[Self] = &[$(Self::$rule),*];

            /// The name that never changes.
            pub fn id(self) -> &'static str {
                match self { $(Self::$rule => $id),* }
            }

            /// The rule in a sentence.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$rule => $sentence),* }
            }

            /// The source that demands it, in our words.
            pub fn source(self) -> &'static str {
                match self { $(Self::$rule => $source),* }
            }
        }
    };
}

// "Observed" is the behaviour of phones with iOS 16 and 17; "Apple" is the documentation of Wallet Passes, by the name of the page.
rules! {
    RegisterNew "register.new-is-201"
        "A registration that did not exist is answered with 201."
        "Apple, Register a Pass for Update Notifications: 201, registration successful. Observed: any status but 200 and 201 is a failure.";
    RegisterAgain "register.again-is-200"
        "A registration that exists is answered with 200, and not with an error."
        "Apple, Register a Pass for Update Notifications: 200, the serial number is already registered for the device.";
    RegisterNewToken "register.new-push-token-is-200"
        "A device that comes again with another push token is still the same device: 200."
        "Apple, Register a Pass for Update Notifications. Whether the new token was stored, only a push can show.";
    RegisterWrongToken "register.wrong-token-is-401"
        "Registering with a wrong token is answered with 401."
        "Apple, Register a Pass for Update Notifications: 401, the request is not authorized.";
    RegisterNoToken "register.no-token-is-401"
        "Registering without a token is answered with 401."
        "Apple, Register a Pass for Update Notifications: 401, the request is not authorized.";
    RegisterUnknownSerial "register.unknown-serial-is-401"
        "Registering for a serial number that does not exist is answered with 401, like a wrong token."
        "Apple, Register a Pass for Update Notifications: 401. Another answer tells strangers which serial numbers exist.";
    RegisterRefused "register.refused-leaves-nothing"
        "A registration that was refused does not exist: the device's list is 204."
        "Apple, Get the List of Updatable Passes: only passes that are registered to the device.";
    RegisterMalformed "register.without-push-token-is-400"
        "A registration without a push token is refused with a status from 400 to 499 other than 401."
        "Apple, PassKit Web Service Reference: otherwise the appropriate standard status.";
    RegisterReturns "register.after-unregistering-is-201"
        "A device that has unregistered may register again: 201."
        "Apple, Register a Pass for Update Notifications: 201. Automatic updates can be switched off and on again.";

    ListUnknownDevice "list.unknown-device-is-204"
        "A device that the service does not know gets 204."
        "Apple, Get the List of Updatable Passes: 204, no matching passes. Observed: 400, 401 and 404 are failures that the phone repeats and logs.";
    ListFirst "list.first-names-all"
        "The list without a tag is 200 and names the registered pass."
        "Apple, Adding a Web Service to Update Passes: all passes when there is no tag. Phones ask like this right after registering.";
    ListShape "list.is-strings"
        "The list is an object with `serialNumbers`, an array of strings, and `lastUpdated`, a string."
        "Apple, SerialNumbers. Observed: a number where a string belongs is a malformed answer.";
    ListContentType "list.is-json"
        "The list has the content type `application/json`."
        "Apple, PassKit Web Service Reference: the body is JSON, with this content type.";
    ListOnlyRegistered "list.names-only-registered"
        "The list names no pass that the device has not registered."
        "Apple, Get the List of Updatable Passes. Observed: 'Update requested for unregistered serial number'.";
    ListOnce "list.names-each-once"
        "The list names no pass twice."
        "Apple, Adding a Web Service to Update Passes: several updates of a pass count as the last.";
    ListNothingNew "list.nothing-new-is-204"
        "With the tag that the service gave, and nothing changed, the list is 204."
        "Apple, Get the List of Updatable Passes: passes updated since the tag; 204 when there are none.";
    ListForeignTag "list.foreign-tag-is-no-error"
        "A tag that the service never gave is answered with 200 or 204."
        "Observed: any other status is a failure, and a phone with the tag of an earlier service would never recover.";
    ListOtherType "list.other-type-is-204"
        "For a pass type of which the device has no passes the list is 204."
        "Apple, Get the List of Updatable Passes: passes of the given type only.";

    GetIs200 "get.is-200"
        "The pass is sent with 200."
        "Apple, Send an Updated Pass: 200.";
    GetContentType "get.is-pkpass"
        "The pass has the content type `application/vnd.apple.pkpass`."
        "Apple, Distributing and Updating a Pass: the type of a pass.";
    GetValid "get.is-a-valid-file"
        "What is sent is a pass: an archive whose files are those of its manifest, with an icon, a signature and an identity."
        "Apple, Building a Pass. Observed: 'Received invalid pass data'. (Whom the signature is from is not looked at: `honoken inspect` does.)";
    GetRequested "get.is-the-requested-pass"
        "What is sent has the pass type and the serial number that were asked for."
        "Observed: 'Requested serial number A, received serial number B', and the update is dropped.";
    GetKeepsToken "get.keeps-the-token"
        "The pass that is sent has the authentication token of the one on the phone."
        "Apple, Adding a Web Service to Update Passes: an update must not change the token or the serial number.";
    GetLastModified "get.has-last-modified"
        "The pass comes with `Last-Modified`, an HTTP date."
        "Observed: '… did not provide a last-modified header'. RFC 9110, 8.8.2.";
    GetSameManifest "get.same-state-same-manifest"
        "Fetched twice without a change in between, the pass has the same manifest."
        "Observed: phones compare manifests to tell whether a pass has changed.";
    GetNotModified "get.unchanged-is-304"
        "With `If-Modified-Since` as the service sent it in `Last-Modified`, an unchanged pass is 304."
        "Apple, PassKit Web Service Reference: 304. Observed: 'Server ignored the if-modified-since header'.";
    GetOlderDate "get.older-date-is-200"
        "With an `If-Modified-Since` of long ago the pass is sent."
        "RFC 9110, 13.1.3. Otherwise a phone with an old copy keeps it for ever.";
    GetUnreadableDate "get.unreadable-date-is-200"
        "An `If-Modified-Since` that is no date is ignored: the pass is sent."
        "RFC 9110, 13.1.3. Phones repeat whatever an earlier service sent, byte for byte.";
    GetEtag "get.same-etag-is-304"
        "With `If-None-Match` and the `ETag` that the service gave, an unchanged pass is 304."
        "RFC 9110, 13.1.2. Phones do not ask like this; caches and other programs do.";
    GetOtherEtag "get.other-etag-is-200"
        "With `If-None-Match` and another `ETag` the pass is sent."
        "RFC 9110, 13.1.2.";
    Get304Etag "get.304-repeats-the-etag"
        "A 304 carries the `ETag` that the 200 had."
        "RFC 9110, 15.4.5.";
    GetNotShared "get.is-not-for-shared-caches"
        "The pass is not offered to shared caches, which would give it to those without its token."
        "RFC 9111, 3.5: `public` and `s-maxage` would allow it.";
    GetHead "get.head-is-like-get"
        "HEAD is answered like GET, without the body."
        "RFC 9110, 9.3.2. Observed: phones send it now and then.";
    GetWrongToken "get.wrong-token-is-401"
        "Asking for the pass with a wrong token is answered with 401, whatever conditions come with it."
        "Apple, Send an Updated Pass: 401, the request is not authorized.";
    GetNoToken "get.no-token-is-401"
        "Asking for the pass without a token is answered with 401."
        "Apple, Send an Updated Pass: 401, the request is not authorized.";
    GetUnknownSerial "get.unknown-serial-is-401"
        "Asking for a serial number that does not exist is answered with 401, like a wrong token."
        "Apple, Send an Updated Pass: 401. Another answer tells strangers which serial numbers exist.";
    GetUnknownType "get.unknown-type-is-401"
        "Asking for a pass type that does not exist is answered with 401, like a wrong token."
        "Apple, Send an Updated Pass: 401.";
    GetUnregistered "get.needs-no-registration"
        "A device that is not registered gets the pass all the same."
        "Apple, Send an Updated Pass: the token is what counts. People pull to refresh with updates switched off.";

    LogIs200 "log.is-200"
        "Lines for the log are taken with 200, without a token."
        "Apple, Log a Message: 200.";

    ChangeListed "change.is-listed"
        "After a change the list with the tag of before is 200 and names the pass."
        "Apple, Get the List of Updatable Passes: passes updated since the tag.";
    ChangeNeverLost "change.is-never-hidden"
        "A change that can be fetched is listed: no update is lost."
        "Apple, Adding a Web Service to Update Passes. A phone fetches only what the list names.";
    ChangeNewTag "change.has-a-new-tag"
        "The list that names the changed pass has another tag than the one before."
        "Observed: '… but the lastUpdated tag remained the same', '… but omitted a lastUpdated tag'.";
    ChangeFetched "change.is-sent"
        "A pass that was listed as changed is sent with 200 and another manifest, although the phone names the date of its copy."
        "Observed: 'Server requested update to serial number …, but the pass was unchanged'. A 304 here loses the update.";
    ChangeLastModified "change.has-a-new-date"
        "The changed pass has another `Last-Modified` than the one before."
        "RFC 9110, 8.8.2. With the same date the next question would be answered with 304, and the phone stay behind.";
    ChangeKeepsIdentity "change.keeps-the-token"
        "A change leaves token, pass type and serial number as they are."
        "Apple, Adding a Web Service to Update Passes: an update must not change them.";
    ChangeSettles "change.settles"
        "Once the phone has the change, the list with the new tag is 204 and the pass with the new date is 304."
        "Apple, Get the List of Updatable Passes: 204. Observed: an unchanged pass that is listed is complained about.";
    ChangeRepeats "change.is-listed-to-latecomers"
        "The list with the tag of before the change names the pass again: asking does not use an update up."
        "Apple, Get the List of Updatable Passes. A phone that lost the answer asks with the same tag again.";

    UnregisterWrongToken "unregister.wrong-token-is-401"
        "Unregistering with a wrong token is answered with 401."
        "Apple, Unregister a Pass for Update Notifications: 401, the request is not authorized.";
    UnregisterNoToken "unregister.no-token-is-401"
        "Unregistering without a token is answered with 401."
        "Apple, Unregister a Pass for Update Notifications: 401, the request is not authorized.";
    UnregisterUnknownSerial "unregister.unknown-serial-is-401"
        "Unregistering a serial number that does not exist is answered with 401, like a wrong token."
        "Apple, Unregister a Pass for Update Notifications: 401.";
    UnregisterRefused "unregister.refused-changes-nothing"
        "A device whose unregistration was refused is still registered: its list names the pass."
        "Apple, Get the List of Updatable Passes: passes that are registered to the device.";
    UnregisterIs200 "unregister.is-200"
        "Unregistering is answered with 200."
        "Apple, Unregister a Pass for Update Notifications: 200. Observed: 204 is a failure that the phone repeats.";
    UnregisterAgain "unregister.again-is-200"
        "Unregistering once more is answered with 200: a phone that lost the answer asks again."
        "Observed: any status but 200 and 201 is a failure that the phone repeats.";
    UnregisterListed "unregister.ends-the-list"
        "After unregistering the list is 204."
        "Apple, Get the List of Updatable Passes: passes that are registered to the device.";

    AnyComplete "any.answers-in-time"
        "Every request gets a complete answer of a bearable size in time."
        "A phone gives up, too.";
    AnyRedirect "any.no-redirect"
        "No request is answered with a redirect."
        "No page of Apple's names one, and where a phone would take its token is not known.";
    AnyServerError "any.no-server-error"
        "No request is answered with a status from 500 on."
        "Observed: a failure that the phone repeats and logs.";
    AnyHttps "any.is-https"
        "The web service is reached by https."
        "Apple, Adding a Web Service to Update Passes: https in production. Plain http is for testing and left open here.";
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_rules_have_the_same_name_and_each_says_what_and_why() {
        let ids: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            let (family, name) = rule.id().split_once('.').expect("a family and a name");
            assert!(
                family
                    .chars()
                    .chain(name.chars())
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            );
            assert!(rule.sentence().ends_with('.') && rule.source().len() > 10, "{rule}");
        }
    }
}
