//! A pass of a hundred kilobytes that is built already, beside a server of files.

use honoken_tests::{Engine, drawing};

use crate::asking::{Target, get, in_turn};
use crate::nginx::{self, Nginx};
use crate::rounds::{Comparison, Pair, Side};
use crate::service::Service;
use crate::tickets;

const CONNECTIONS: usize = 32;

const COMPARISON: Comparison = Comparison {
    title: "download: 200 with a pass that is built already",
    ours: Side {
        name: "ours",
        does: "`GET /v1/passes/{type}/{serial}` with token: the file from memory; SQLite",
        unit: "answers/s",
    },
    ceiling: Side {
        name: "ceiling",
        does: "nginx, one process, the same file from the system's memory by `sendfile`, without a log",
        unit: "answers/s",
    },
    boundary: "from a question in the generator to the whole answer, 32 keep-alive connections over loopback",
};

const PROCESSOR: Comparison = Comparison {
    title: "the same, by the server's own processor time",
    ours: Side { name: "ours", does: "the same rounds", unit: "answers per second of one core" },
    ceiling: Side { name: "ceiling", does: "the same rounds", unit: "answers per second of one core" },
    boundary: "user and system time of the server alone, in steps of a hundredth of a second; the generator is left out",
};

pub(crate) async fn run() {
    let service = Service::starts(Engine::Sqlite).await;
    let integrator = service.integrator();
    integrator.issues("P-1").await;
    for (file, width, height) in tickets::IMAGES.into_iter().chain([("background.png", 180, 220)]) {
        integrator.puts_asset("P-1", file, drawing::noise(width, height)).await;
    }
    let pass = integrator.credentials("P-1").await;
    let file = integrator.downloads("P-1").await;
    let Some(nginx) = Nginx::serving(&file).await else { return };
    let expected = (200, file.len());
    let targets = [
        service.target(vec![service.question(&pass, &[]); CONNECTIONS], expected),
        Target {
            process: nginx.id(),
            host: nginx.host.clone(),
            questions: vec![get(&nginx.host, nginx::PATH, &[]); CONNECTIONS],
            expected,
        },
    ];
    let rounds = in_turn(&targets).await;
    let pairs = rounds[0].iter().zip(&rounds[1]);
    let by_clock: Vec<Pair> =
        pairs.clone().map(|(ours, ceiling)| Pair { ours: ours.rate, ceiling: ceiling.rate }).collect();
    let by_processor: Vec<Pair> = pairs
        .map(|(ours, ceiling)| Pair { ours: ours.rate_of_core, ceiling: ceiling.rate_of_core })
        .collect();
    COMPARISON.report(&by_clock);
    PROCESSOR.report(&by_processor);
    println!("  sizes     {} bytes of the pass", file.len());
}
