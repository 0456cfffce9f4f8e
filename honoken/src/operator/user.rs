//! The person at the command line, as the operating system knows them.

use std::fs;

use tokio::net::UnixStream;

/// The names of users, one on a line, with their numbers.
const USERS: &str = "/etc/passwd";

/// The actor of what a command does: `command-line:` and the name of the user that runs it, or the number of a user without a name there.
pub fn actor() -> String {
    // The other end of a pair of sockets is this process, whose user the system tells.
    let uid = UnixStream::pair().and_then(|(one, _)| one.peer_cred()).map(|peer| peer.uid());
    let Ok(uid) = uid else { return "command-line".to_owned() };
    let users = fs::read_to_string(USERS).unwrap_or_default();
    format!("command-line:{}", name_of(uid, &users).unwrap_or(&uid.to_string()))
}

fn name_of(uid: u32, users: &str) -> Option<&str> {
    let mut users = users.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| {
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid) && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\n# a comment\nvera:x:1000:1000::/home/vera:/bin/sh\n";
        assert_eq!(name_of(1000, users), Some("vera"));
        assert_eq!(name_of(0, users), Some("root"));
        assert_eq!(name_of(7, users), None);
    }
}
