//! Who has a place among the connections, and who gives way when there are too many.
//!
//! Nobody who asks something is turned away for the sake of clients that ask nothing: where all places are taken, an
//! idle connection makes room, of the client that has the most. Where none is idle, a client that has less than its share
//! gets a place of the one that is furthest above its own. Shares are equal, but for proxies that are believed whom they speak
//! for: they have half of all places together, and no bound of their own. A *client* is an address; of IPv6, a network of
//! 64 bits, since whoever has one address of it has them all.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::stall::Progress;
use crate::config::Addresses;

/// The places that there are.
#[derive(Debug)]
pub(super) struct Places {
    /// How many there are.
    pub(super) total: usize,
    /// How many a client may have.
    pub(super) of_client: usize,
    /// Who is no client, but speaks for many.
    proxies: Vec<Addresses>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// By the order in which they came.
    connections: BTreeMap<u64, Connection>,
    /// How many connections a client has; never 0.
    clients: HashMap<IpAddr, Client>,
    latest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    connections: usize,
    is_proxy: bool,
}

#[derive(Debug)]
struct Connection {
    client: IpAddr,
    progress: Arc<Progress>,
    gives_way: CancellationToken,
}

/// A connection's place, for as long as this is held.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    /// Cancelled when the connection has to make room.
    pub(super) gives_way: CancellationToken,
}

impl Places {
    pub(super) fn new(total: usize, of_client: usize) -> Arc<Self> {
        Self::behind(total, of_client, Vec::new())
    }

    /// The same, with proxies at those addresses.
    pub(super) fn behind(total: usize, of_client: usize, proxies: Vec<Addresses>) -> Arc<Self> {
        Arc::new(Self { total, of_client, proxies, held: Mutex::default() })
    }

    /// A place for a connection of a client, if there is one or somebody gives way.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, progress: &Arc<Progress>) -> Option<Place> {
        let is_proxy = self.proxies.iter().any(|proxy| proxy.contain(address.to_canonical()));
        let client = client_of(address);
        let mut held = self.lock();
        let own = held.of(client);
        if own >= self.of_client && !is_proxy {
            held.evict_idle(Some(client))?;
        }
        if held.connections.len() >= self.total {
            held.evict_idle(None).or_else(|| held.evict_for(client, is_proxy, self.total))?;
        }
        held.latest += 1;
        let number = held.latest;
        let gives_way = CancellationToken::new();
        let connection = Connection { client, progress: Arc::clone(progress), gives_way: gives_way.clone() };
        held.connections.insert(number, connection);
        held.clients.entry(client).or_insert(Client { connections: 0, is_proxy }).connections += 1;
        Some(Place { places: Arc::clone(self), number, gives_way })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(self.number);
    }
}

impl Held {
    fn of(&self, client: IpAddr) -> usize {
        self.clients.get(&client).map_or(0, |client| client.connections)
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        let connection = self.connections.remove(&number)?;
        if let Some(client) = self.clients.get_mut(&connection.client) {
            client.connections -= 1;
            if client.connections == 0 {
                self.clients.remove(&connection.client);
            }
        }
        Some(connection)
    }

    fn evict(&mut self, number: u64) -> Option<()> {
        self.remove(number)?.gives_way.cancel();
        Some(())
    }

    /// Makes room at the expense of a connection that is idle, of that client or of any: of the one that has the most, the
    /// one that is idle for longest.
    fn evict_idle(&mut self, client: Option<IpAddr>) -> Option<()> {
        let now = Instant::now();
        let idle =
            self.connections.iter().filter(|(_, held)| client.is_none_or(|client| client == held.client));
        let idle = idle.filter_map(|(number, held)| {
            let since = held.progress.idle_since()?;
            Some((self.of(held.client), now.saturating_duration_since(since), *number))
        });
        let (.., number) = idle.max_by_key(|(count, idle, number)| (*count, *idle, u64::MAX - number))?;
        self.evict(number)
    }

    /// Makes room for a client that has less than its share, at the expense of the one that is furthest above its own: its
    /// oldest connection ends.
    fn evict_for(&mut self, client: IpAddr, is_proxy: bool, total: usize) -> Option<()> {
        let own = self.of(client);
        let is_new = usize::from(own == 0);
        let proxies =
            self.clients.values().filter(|client| client.is_proxy).count() + is_new * usize::from(is_proxy);
        let others = self.clients.len() + is_new - proxies;
        let share = |is_proxy| match (is_proxy, proxies, others) {
            (_, 0, all) | (_, all, 0) => total / all,
            (true, ..) => total / 2 / proxies,
            (false, ..) => (total - total / 2) / others,
        };
        if own >= share(is_proxy) {
            return None;
        }
        let above = |client: &Client| client.connections.checked_sub(share(client.is_proxy));
        let most = self.clients.values().filter_map(above).max()?;
        let mut connections = self.connections.iter();
        let gives_way = |held: &Connection| self.clients.get(&held.client).and_then(above) == Some(most);
        let (number, _) = connections.find(|(_, held)| gives_way(held))?;
        self.evict(*number)
    }
}

/// The client that an address stands for: whoever has one of IPv6 has all of its last 64 bits.
pub(crate) fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// A connection that is idle.
    fn idle() -> Arc<Progress> {
        Arc::new(Progress::new())
    }

    /// A connection that waits for an answer.
    fn busy() -> Arc<Progress> {
        let progress = idle();
        std::mem::forget(Progress::asked(&progress));
        progress
    }

    fn gave_way(places: &[Place]) -> Vec<usize> {
        let cancelled = places.iter().enumerate().filter(|(_, place)| place.gives_way.is_cancelled());
        cancelled.map(|(position, _)| position).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_idle_gives_way_first_whoever_has_the_most_and_is_so_for_longest() {
        let places = Places::new(5, 5);
        let [many, few] = ["192.0.2.1", "192.0.2.2"].map(address);
        let mut held = Vec::new();
        for (client, progress) in
            [(few, idle()), (many, busy()), (many, idle()), (many, idle()), (few, busy())]
        {
            held.push(places.take(client, &progress).expect("there is room"));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let other = address("192.0.2.3");
        let third = places.take(other, &busy()).expect("somebody is idle");
        assert_eq!(gave_way(&held), [2]);
        let fourth = places.take(many, &busy()).expect("somebody is idle");
        assert_eq!(gave_way(&held), [0, 2], "both have as many: the one that was idle for longer");
        let fifth = places.take(other, &busy()).expect("somebody is idle");
        assert_eq!(gave_way(&held), [0, 2, 3]);
        assert!(!third.gives_way.is_cancelled() && !fourth.gives_way.is_cancelled());
        drop(fifth);
        assert_eq!(places.lock().connections.len(), 4, "its place is free");
    }

    #[test]
    fn a_client_has_so_many_and_its_own_idle_ones_make_room_for_others_of_it() {
        let places = Places::new(10, 2);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(address);
        let held = [busy(), idle()].map(|progress| places.take(one, &progress).expect("there is room"));
        let of_other = places.take(other, &idle()).expect("there is room");
        let third = places.take(one, &busy()).expect("one of its own is idle");
        assert_eq!(gave_way(&held), [1]);
        assert!(places.take(one, &busy()).is_none(), "none of its own is idle");
        assert!(!of_other.gives_way.is_cancelled(), "nobody else pays for it");
        drop(third);
        assert!(places.take(one, &busy()).is_some());
    }

    #[test]
    fn a_client_that_has_less_than_its_share_gets_it_from_the_one_that_has_the_most() {
        let places = Places::new(6, 6);
        let [many, few] = ["192.0.2.1", "192.0.2.2"].map(address);
        let held: Vec<_> = (0..6).map(|_| places.take(many, &busy()).expect("there is room")).collect();
        let of_few: Vec<_> = (0..3).map(|_| places.take(few, &busy()).expect("it has less")).collect();
        assert_eq!(gave_way(&held), [0, 1, 2]);
        assert!(places.take(few, &busy()).is_none(), "it has its half");
        assert!(places.take(many, &busy()).is_none(), "so has the other");
        let third = places.take(address("192.0.2.3"), &busy()).expect("there are three now");
        assert_eq!((gave_way(&held), gave_way(&of_few)), (vec![0, 1, 2, 3], vec![]));
        drop(third);
    }

    #[test]
    fn a_proxy_has_as_many_as_it_likes_and_its_half_where_others_take_all() {
        let [proxy, one, other] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(address);
        let places = Places::behind(8, 2, vec!["192.0.2.1".parse().expect("an address")]);
        let held: Vec<_> = (0..8).map(|_| places.take(proxy, &busy()).expect("there is room")).collect();
        let of_one =
            [busy(), busy()].map(|progress| places.take(one, &progress).expect("it has less than its share"));
        assert_eq!(gave_way(&held), [0, 1]);
        assert!(places.take(one, &busy()).is_none(), "it has what a client may have");
        drop((held, of_one));

        let places = Places::behind(8, 8, vec!["192.0.2.1".parse().expect("an address")]);
        let of_one: Vec<_> = (0..5).map(|_| places.take(one, &busy()).expect("there is room")).collect();
        let of_other: Vec<_> = (0..3).map(|_| places.take(other, &busy()).expect("there is room")).collect();
        let held: Vec<_> =
            (0..4).map(|_| places.take(proxy, &busy()).expect("it has less than half")).collect();
        assert_eq!((gave_way(&of_one), gave_way(&of_other)), (vec![0, 1, 2], vec![0]));
        assert!(places.take(proxy, &busy()).is_none(), "it has its half");
        assert!(places.take(one, &busy()).is_none(), "so have the others theirs");
        assert!(!held.iter().any(|place| place.gives_way.is_cancelled()));
    }

    #[test]
    fn a_client_is_an_address_or_a_network_of_64_bits() {
        assert_eq!(client_of(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        assert_eq!(client_of(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_ne!(client_of(address("192.0.2.1")), client_of(address("192.0.2.2")));
    }
}
