//! temp
use super::host::HostAndPort; use ::http::HeaderMap; use std::net::{IpAddr,SocketAddr};
#[derive(Debug,Clone,Copy)] pub struct Peer { pub address: Option<SocketAddr>, pub tls: bool }
#[derive(Debug,Clone)] pub struct TrustedProxies(Vec<ipnet::IpNet>,bool);
impl TrustedProxies { pub fn new(n: Vec<ipnet::IpNet>, u: bool)->Self{Self(n,u)} }
#[derive(Debug,Clone)] pub struct Client { pub address: Option<IpAddr>, pub scheme: &'static str, pub trusted_peer: bool }
#[derive(Debug,Clone)] pub struct PublicOrigin(String);
impl PublicOrigin { pub fn parse(s:&str)->Option<Self>{Some(Self(s.to_owned()))} pub fn as_str(&self)->&str{&self.0} }
pub fn client(_: &HeaderMap, peer: Peer, _: &TrustedProxies) -> Client { Client{address: peer.address.map(|a|a.ip()), scheme:"http", trusted_peer:false} }
pub fn write_forwarded(_: &mut HeaderMap, _: Peer, _: &Client, _: &HostAndPort, _: &PublicOrigin) {}
