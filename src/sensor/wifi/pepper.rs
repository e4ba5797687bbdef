//! The secret under which addresses are counted.
//!
//! An address becomes the first 64 bits of its HMAC-SHA256 (RFC 2104, FIPS 198-1) under a random key. The key exists in
//! this process's memory alone, is wiped when it is replaced, and nobody can turn the hashes back without it. With 64
//! bits two of 20,000 senders share a hash with a chance of 1 in 10^11.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::frame::Address;

/// One key. No text form, no copy.
pub struct Pepper(Hmac<Sha256>);

/// No random numbers: nothing may be counted.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers ({0}); Wi-Fi is not counted; restart the box")]
pub struct NoPepper(#[from] std::io::Error);

impl Pepper {
    /// A fresh key from the kernel's random generator.
    ///
    /// # Errors
    /// The kernel gives none.
    pub fn random() -> Result<Self, NoPepper> {
        let mut key = Zeroizing::new([0u8; 32]);
        let filled = rustix::rand::getrandom(&mut key[..], rustix::rand::GetRandomFlags::empty())
            .map_err(std::io::Error::from)?;
        if filled != key.len() {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Self::from_key(&key))
    }

    /// A key that is known, for tests.
    #[must_use]
    pub fn from_key(key: &[u8; 32]) -> Self {
        // HMAC keeps its key as the states of two hashes.
        const fn wiped_on_drop<T: ZeroizeOnDrop>() {}
        wiped_on_drop::<Sha256>();
        let mut block = Zeroizing::new([0u8; 64]);
        block[..32].copy_from_slice(key);
        Self(Hmac::new((&*block).into()))
    }

    /// The address under this key.
    #[must_use]
    pub fn disguise(&self, address: &Address) -> u64 {
        let mut mac = self.0.clone();
        mac.update(address.octets());
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_known_key_when_an_address_is_disguised_then_it_is_hmac_sha256_cut_to_64_bits() {
        // printf '\x02\x00\x00\x00\x00\x01' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0b…0b (32 times)
        let pepper = Pepper::from_key(&[0x0b; 32]);
        let hash = pepper.disguise(&Address::new([2, 0, 0, 0, 0, 1]));
        assert_eq!(format!("{:016x}", hash.swap_bytes()), "4b20f1586f43d7e5");
    }

    #[test]
    fn given_two_peppers_when_the_same_address_comes_then_nothing_links_them() {
        let address = Address::new([0x3c, 1, 2, 3, 4, 5]);
        let (today, tomorrow) = (Pepper::random().unwrap(), Pepper::random().unwrap());
        assert_eq!(today.disguise(&address), today.disguise(&address));
        assert_ne!(today.disguise(&address), tomorrow.disguise(&address));
    }
}
