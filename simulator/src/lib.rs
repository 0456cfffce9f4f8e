//! A fake iPhone that speaks PassKit's web service protocol and judges every answer as Wallet would.
