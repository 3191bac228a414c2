import Head from "next/head";
import useSWR from "swr";

const fetcher = (url) => fetch(url).then((response) => response.json());

export default function Home() {
  const { data } = useSWR("/api/logto/user", fetcher);
  return (
    <main>
      <Head>
        <title>Next.js</title>
      </Head>
      {data?.isAuthenticated && (
        <p>
          Hello, <b id="user">{data.claims.name ?? data.claims.sub}</b>{" "}
          <button onClick={() => window.location.assign("/api/logto/sign-out")}>Sign out</button>
        </p>
      )}
      {data && !data.isAuthenticated && (
        <p>
          <button onClick={() => window.location.assign("/api/logto/sign-in")}>Sign in</button>
        </p>
      )}
      <a href="/profile">Profile</a>
    </main>
  );
}
