import time
from urllib.parse import unquote

import streamlit as st

st.set_page_config(page_title="Streamlit")
headers = st.context.headers
account = headers.get("X-User-Hf-Username")
st.markdown(
    f"Signed in as **{unquote(headers.get('X-User-Name', ''))}**" + (f" (`{account}` on Hugging Face)" if account else "")
)

if st.button("Count"):
    progress = st.empty()
    for step in range(1, 6):
        time.sleep(0.2)
        progress.write(f"step {step} of 5")

if upload := st.file_uploader("A file"):
    st.write(f"{len(upload.getvalue())} bytes")

st.link_button("Sign out", "/.logto/sign-out")
